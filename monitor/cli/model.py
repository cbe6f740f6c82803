"""``wardbeat model``: what a model says of itself, and whether it may be trusted."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from monitor.cli.terminal import page, progress_console
from monitor.exceptions import ModelError

if TYPE_CHECKING:
    from monitor.classifier import Classifier

_LARGEST_CARD: Final = 16 * 1024 * 1024
"""Bytes; a longer card is not read."""

app = typer.Typer(
    help="Show or verify a model.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

ModelFile = Annotated[Path | None, typer.Argument(metavar="[FILE]", help="A model; the one that ships if not given.")]


@app.command()
def show(
    file: ModelFile = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print the card as JSON, without the golden vectors.")
    ] = False,
) -> None:
    """Show a model's card: what it learnt from, takes and gives, and its scores.

    The card is read as data; nothing of the file is run, trusted or not.
    """
    from rich import box
    from rich.table import Table
    from rich.text import Text

    from monitor.classifier import default_model, digest_of

    pinned_path, pin = default_model() if file is None else (file, None)
    digest = digest_of(pinned_path)
    card = read_card(pinned_path)
    if as_json:
        own = {key: value for key, value in card.items() if key != "golden"}
        pinned = {} if pin is None else {"pinned": digest == pin.lower()}
        typer.echo(json.dumps({"file": str(pinned_path), "sha256": digest, **pinned, "card": own}, indent=1))
        return
    table = Table(box=box.SIMPLE_HEAD, show_header=False)
    table.add_column(style="bold", no_wrap=True)
    table.add_column(overflow="fold")
    table.add_row("file", Text(str(pinned_path)))
    table.add_row("sha256", digest)
    if pin is not None:
        table.add_row("pinned", "yes" if digest == pin.lower() else Text(f"NO, the pin is {pin}", style="red"))
    for name, text in _rows(card):
        table.add_row(Text(name), Text(text))
    page().print(table)


@app.command()
def verify(
    file: ModelFile = None,
    sha256: Annotated[
        str | None, typer.Option(metavar="HEX", help="The digest that FILE must have; one that ships is known.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print what was found as JSON.")] = False,
) -> None:
    """Load a model as the monitor does: digest, contract and golden vectors hold.

    Then see that a beat's name depends on that beat alone, to the bit, and how long a beat takes.
    """

    if file is None and sha256 is not None:
        raise ModelError("a SHA-256 without a file", where="--sha256", remedy="give both: wardbeat model verify FILE")
    with progress_console().status("loading the model"):
        from monitor.classifier import Classifier, check_rows, digest_of, pins

        if file is not None and sha256 is None:
            sha256 = digest_of(file)
            if sha256 not in pins().values():
                remedy = "give it: wardbeat model verify FILE --sha256 HEX"
                raise ModelError("its SHA-256 is not given", where=str(file), remedy=remedy)
        classifier = Classifier(file, sha256)
        check_rows(classifier)
        microseconds = time_a_beat(classifier)
    if as_json:
        found = {
            "file": str(classifier.path),
            "sha256": classifier.sha256,
            "leads": classifier.leads,
            "golden": classifier.worst,
            "us_per_beat": round(microseconds, 1),
            "bytes": classifier.path.stat().st_size,
        }
        typer.echo(json.dumps(found))
        return
    typer.echo(f"OK {classifier.sha256} {classifier.path}")
    leads = "one lead" if classifier.leads == 1 else "two leads"
    typer.echo(f"{leads}; golden vectors differ by {classifier.worst:.1e}; rows are independent to the bit")
    typer.echo(f"{microseconds:.0f} us a beat in full batches; {classifier.path.stat().st_size} bytes")


def time_a_beat(classifier: Classifier, rounds: int = 30) -> float:
    """Microseconds a beat in full batches: the median of several rounds."""
    import statistics
    import time

    from monitor.classifier import decode_array

    windows, features = (decode_array(classifier.card["golden"][name]) for name in ("windows", "features"))
    times = []
    for _ in range(rounds):
        begin = time.perf_counter()
        classifier.answer(windows, features)
        times.append(time.perf_counter() - begin)
    return 1e6 * statistics.median(times) / len(windows)


def read_card(path: Path) -> dict[str, Any]:
    """A model's card, read from its archive without running anything of it.

    Raises:
        ModelError: the file is not a TorchScript archive with a card.
    """
    from monitor.classifier import CARD_FILE

    try:
        with zipfile.ZipFile(path) as archive:
            entries = [entry for entry in archive.infolist() if entry.filename.endswith(f"/extra/{CARD_FILE}")]
            if len(entries) != 1 or entries[0].file_size > _LARGEST_CARD:
                raise ValueError("no card in it")
            card = json.loads(archive.read(entries[0]))
            if not isinstance(card, dict):
                raise ValueError("its card is not an object")
    except (OSError, ValueError, RecursionError, zipfile.BadZipFile, NotImplementedError, RuntimeError) as error:
        raise ModelError(
            f"not a wardbeat model ({str(error)[:100]})", where=str(path), remedy="wardbeat train writes models"
        ) from None
    return card


def _rows(card: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    """Names and texts of a card's entries, one line each; of arrays only the shape."""
    for key, value in card.items():
        name = f"{prefix}{key}"
        match value:
            case {"float32": _, "shape": shape}:
                yield name, f"float32 {' x '.join(str(size) for size in shape)}"
            case dict():
                yield from _rows(value, f"{name}.")
            case list() if all(isinstance(item, str | int | float) for item in value):
                yield name, " ".join(str(item) for item in value)
            case str() | int() | float():
                yield name, str(value)
            case _:
                yield name, json.dumps(value)
