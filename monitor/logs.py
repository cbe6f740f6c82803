"""The monitor's log as JSON, one object a line: for whatever collects logs."""

from __future__ import annotations

import json
import logging
from datetime import UTC, datetime


class JsonLines(logging.Formatter):
    """A record as ``{"time": ..., "level": ..., "logger": ..., "message": ..., "bed": ..., "error": ...}``.

    `time` is UTC as in RFC 3339, with microseconds. `bed` is there when the record is about one: a message about a bed
    begins with ``bed %s``, the id being its first argument. `error` is the traceback of what was caught.
    """

    def format(self, record: logging.LogRecord) -> str:
        """One line, whatever the message has in it."""
        line = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="microseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        if str(record.msg).startswith("bed %") and isinstance(record.args, tuple) and record.args:
            line["bed"] = str(record.args[0])
        if record.exc_info:
            line["error"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=False)
