"""``wardbeat broker-config``: a configuration for mosquitto, to begin with."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Final

import typer

from monitor.exceptions import ConfigError

FILES: Final = ("mosquitto.conf", "acl")


def broker_config(
    out: Annotated[Path, typer.Option(metavar="FOLDER", help="Where to write the two files.")],
) -> None:
    """Write mosquitto's configuration and access control for a ward: a user for each bed, and one for the monitor.

    A file that is there already is left alone. The next steps are in the
    first lines of mosquitto.conf; the monitor then starts as

        wardbeat serve --broker 127.0.0.1:1883 with broker_user and
        broker_password_file in wardbeat.toml
    """
    source = Path(__file__).parents[1] / "mosquitto"
    try:
        out.mkdir(parents=True, exist_ok=True)
        for name in FILES:
            if (out / name).exists():
                raise ConfigError("is there already", where=str(out / name), remedy="choose another folder for --out")
        for name in FILES:
            text = (source / name).read_text(encoding="utf-8")
            (out / name).write_text(text.replace("FOLDER", str(out.resolve())), encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"cannot be written ({error.strerror})", where=str(out)) from None
    for name in FILES:
        typer.echo(out / name)
