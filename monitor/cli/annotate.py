"""``wardbeat annotate``: records in, WFDB annotations out."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def annotate(
    records: Annotated[list[str], typer.Argument(metavar="RECORD", help="Paths of WFDB records, 100 to 1000 Hz.")],
    out: Annotated[Path, typer.Option(metavar="DIR", help="Folder of the annotation files.")] = Path(),
    annotator: Annotated[str, typer.Option(metavar="NAME", help="Letters that end the files' names.")] = "wb",
    leads: Annotated[
        str, typer.Option(metavar="MLII,V1", help="Leads by name or number; the first two ECG leads if not given.")
    ] = "",
) -> None:
    """Write each record's beats and rhythms as a WFDB annotation file, and print a summary.

    It is what wardbeat replay does with --annotate: causally, as a live bed
    would be analysed. Read the files with wfdb.rdann, score them with bxb.
    Not a medical device.

    Examples:

        wardbeat annotate mitdb/100 mitdb/208

        wardbeat annotate holter/1 --leads II --out annotations
    """
    from monitor.cli.replay import replay

    replay(
        records,
        leads=leads,
        speed="max",
        events=None,
        annotate=annotator,
        out=out,
        bed=None,
        model=None,
        model_sha256=None,
        other_model=None,
        other_model_sha256=None,
        no_model=False,
    )
