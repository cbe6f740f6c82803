"""Experiments: ways to train compared by leave-records-out cross-validation, over several seeds.

An experiment is a TOML file::

    name = "losses"
    leads = 1                     # 1 or 2
    seeds = [0, 1, 2]
    folds = 5                     # of patients: none is on both sides
    scored = "first"              # lead set whose beats, as recorded, are scored; "both" for two leads
    databases = ["mitdb"]         # patients of these are left out in turns and scored; others are only learnt from

    [base]                        # settings of trainer/beats/recipes.py that hold for all
    epochs = 4
    architecture.embedding = 8

    [grid]                        # every combination of these ...
    loss = ["cross_entropy", "focal"]
    "architecture.lstm" = [0, 16]

    [[variants]]                  # ... of each of these; either may be missing
    name = "plain"

A *run* is one variant with one seed and one fold left out. Its result is a JSON file whose name is the hash of all that
decides it, so that what was interrupted starts again at what is missing, and a changed setting is another run.
"""

from __future__ import annotations

import itertools
import json
import tomllib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from monitor.exceptions import ConfigError
from trainer.beats.dataset import Beats, DataSet
from trainer.beats.recipes import Recipe
from trainer.beats.training import check_classes, predict, rows_for, train_members
from trainer.files import write_json
from trainer.parallel import each
from trainer.scoring.grades import Grade, counts_of, grade_counts
from trainer.scoring.runs import BOTH, FIRST
from trainer.splits import FOLDS, folds

SHIPPED: Final = Path(__file__).with_name("experiments")
"""Experiments that come with wardbeat; one is named without its suffix."""

EXPERIMENT: Final = "experiment.json"
RESULTS: Final = "results"
_KEYS: Final = ("name", "leads", "seeds", "folds", "scored", "databases", "base", "grid", "variants")


@dataclass(frozen=True, slots=True)
class Experiment:
    """What is compared, and how.

    Attributes:
        name: for titles.
        leads: of all variants.
        recipes: the variants, each with a name of its own.
        seeds: each variant is trained with each of them.
        folds: parts that the patients are split into.
        scored: lead set whose beats are scored.
        databases: whose patients are left out and scored.
    """

    name: str
    leads: int
    recipes: tuple[Recipe, ...]
    seeds: tuple[int, ...] = (0,)
    folds: int = FOLDS
    scored: str = FIRST
    databases: tuple[str, ...] = ("mitdb",)

    def as_dict(self) -> dict[str, Any]:
        """As JSON values."""
        return {
            "name": self.name,
            "leads": self.leads,
            "seeds": list(self.seeds),
            "folds": self.folds,
            "scored": self.scored,
            "databases": list(self.databases),
            "variants": [recipe.as_dict() for recipe in self.recipes],
        }

    def variant(self, name: str) -> Recipe:
        """The variant of that name; the only one if no name is given.

        Raises:
            ConfigError: there is none, or several without a name.
        """
        found = [recipe for recipe in self.recipes if not name or recipe.name == name]
        if len(found) != 1:
            remedy = f"there are {', '.join(recipe.name for recipe in self.recipes)}"
            raise ConfigError(f"no variant {name}" if name else "several variants", where=self.name, remedy=remedy)
        return found[0]


def find_experiment(name_or_path: str | Path, leads: int | None = None) -> Experiment:
    """Read an experiment from a TOML file, or one that comes with wardbeat by its name.

    Args:
        name_or_path: of the file.
        leads: instead of those in the file.

    Raises:
        ConfigError: there is none, or something in it makes no sense.
    """
    shipped = SHIPPED / f"{name_or_path}.toml"
    path = shipped if Path(name_or_path).name == str(name_or_path) and shipped.is_file() else Path(name_or_path)
    try:
        values = tomllib.loads(path.read_text())
    except OSError as error:
        known = ", ".join(sorted(file.stem for file in SHIPPED.glob("*.toml")))
        remedy = f"name a TOML file, or one of {known}"
        raise ConfigError(f"cannot be read ({error.strerror})", where=str(path), remedy=remedy) from None
    except ValueError as error:
        raise ConfigError(f"not TOML ({error})", where=str(path), remedy="correct it") from None
    try:
        return _experiment({"name": path.stem} | values, leads)
    except ConfigError as error:
        raise ConfigError(error.what, where=f"{path}: {error.where}", remedy=error.remedy) from None


def _experiment(values: Mapping[str, Any], leads: int | None) -> Experiment:
    for key in values:
        if key not in _KEYS:
            raise ConfigError("no such key", where=key, remedy=f"there are {', '.join(_KEYS)}")
    number = leads or values.get("leads", 1)
    if number not in (1, 2):
        raise ConfigError(f"{number!r} leads", where="leads", remedy="1 or 2")
    scored = values.get("scored", FIRST if number == 1 else BOTH)
    if leads is not None and leads != values.get("leads", 1):
        scored = FIRST if leads == 1 else BOTH
    base, grid = values.get("base", {}), values.get("grid", {})
    tables = values.get("variants") or [{}]
    axes = dict(grid) if isinstance(grid, Mapping) else {}
    for key, options in axes.items():
        if not isinstance(options, list) or not options:
            raise ConfigError("not a list of values", where=f"grid.{key}", remedy="give a list")
    recipes = []
    for table in tables:
        for chosen in itertools.product(*axes.values()):
            setting = dict(zip(axes, chosen, strict=True))
            merged = _merged(base, table)
            for key, value in setting.items():
                merged = _merged(merged, _nested(key, value))
            words = [f"{key.rpartition('.')[2]}={_text(value)}" for key, value in setting.items()]
            merged["name"] = " ".join([*([table["name"]] if "name" in table else []), *words]) or values["name"]
            recipes.append(Recipe.of(_merged(merged, {"architecture": {"leads": number}})))
    names = [recipe.name for recipe in recipes]
    if len(set(names)) != len(names):
        twice = sorted({name for name in names if names.count(name) > 1})
        raise ConfigError(f"two variants called {twice[0]}", where="variants", remedy="give each a name")
    seeds, count = values.get("seeds", [0]), values.get("folds", FOLDS)
    if not isinstance(seeds, list) or not seeds or not all(type(seed) is int and seed >= 0 for seed in seeds):
        raise ConfigError(f"{seeds!r}", where="seeds", remedy="give a list of whole numbers")
    if type(count) is not int or count < 2:
        raise ConfigError(f"{count!r}", where="folds", remedy="give two or more")
    databases = tuple(values.get("databases", ["mitdb"]))
    return Experiment(str(values["name"]), number, tuple(recipes), tuple(seeds), count, str(scored), databases)


def _merged(base: Mapping[str, Any], more: Mapping[str, Any]) -> dict[str, Any]:
    found = dict(base)
    for key, value in more.items():
        inner = found.get(key)
        found[key] = _merged(inner, value) if isinstance(inner, Mapping) and isinstance(value, Mapping) else value
    return found


def _nested(key: str, value: Any) -> dict[str, Any]:
    first, _, rest = key.partition(".")
    return {first: _nested(rest, value) if rest else value}


def _text(value: Any) -> str:
    return "+".join(map(str, value)) or "none" if isinstance(value, list) else str(value)


def read_experiment(folder: Path) -> tuple[Experiment, Path]:
    """The experiment whose results are in a folder, and where its data set was.

    Raises:
        ConfigError: there is none.
    """
    try:
        values = json.loads((folder / EXPERIMENT).read_text())
        dataset = Path(values.pop("dataset"))
        recipes = tuple(Recipe.of(variant) for variant in values.pop("variants"))
        values |= {"seeds": tuple(values["seeds"]), "databases": tuple(values["databases"])}
        return Experiment(recipes=recipes, **values), dataset
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        remedy = "name a folder that wardbeat experiments run has made"
        raise ConfigError("no results of an experiment", where=str(folder), remedy=remedy) from None


# --- runs


@dataclass(frozen=True, slots=True)
class Run:
    """One variant, one seed, one fold left out.

    Attributes:
        dataset: folder of the data set.
        experiment: what it belongs to.
        recipe: the variant.
        seed: of the training.
        fold: number of the fold.
        left_out: its patients.
        key: hash of all that decides the result.
        folder: of the experiment's results.
        device: where to train.
    """

    dataset: Path
    experiment: Experiment
    recipe: Recipe
    seed: int
    fold: int
    left_out: tuple[str, ...]
    key: str
    folder: Path
    device: str = "cpu"

    @property
    def file(self) -> Path:
        return self.folder / RESULTS / f"{self.key}.json"

    def result(self) -> dict[str, Any] | None:
        """What was found; None if it has not been run."""
        try:
            found: dict[str, Any] = json.loads(self.file.read_text())
            return found if found["key"] == self.key else None
        except (OSError, ValueError, KeyError, TypeError):
            return None


def runs_of(experiment: Experiment, data: DataSet, folder: Path, device: str = "cpu") -> list[Run]:
    """All runs of an experiment: seed after seed, so that a first answer comes early.

    Raises:
        ConfigError: the data set has no beats to score, fewer than two patients, or lacks a class.
    """
    beats = data.for_training().beats(experiment.leads)
    scored = scored_rows(beats, experiment)
    patients = np.unique(beats.patients[scored]).tolist()
    if len(patients) < 2:
        what = f"{len(patients)} patient{'s' * (len(patients) != 1)} to score"
        remedy = f"the data set needs lead set {experiment.scored} of two patients of {', '.join(experiment.databases)}"
        raise ConfigError(what, where=str(data.folder), remedy=remedy)
    for recipe in experiment.recipes:
        check_classes(beats, rows_for(beats, recipe), data.manifest["without"])
    found = []
    for seed in experiment.seeds:
        for recipe in experiment.recipes:
            for number, left_out in enumerate(folds(patients, min(experiment.folds, len(patients)))):
                decided = [data.digest, recipe.digest(), seed, left_out, experiment.scored, list(experiment.databases)]
                key = sha256(json.dumps(decided).encode()).hexdigest()[:24]
                run = Run(data.folder, experiment, recipe, seed, number, tuple(left_out), key, folder, device)
                found.append(run)
    return found


def scored_rows(beats: Beats, experiment: Experiment) -> NDArray[np.int64]:
    """The beats that are scored: as recorded, by their last name."""
    chosen = beats.taken_from([experiment.scored], databases=experiment.databases, noisy=False, made_up=False)
    return np.flatnonzero(chosen)


@cache
def _open(folder: Path, leads: int) -> Beats:
    return DataSet(folder).for_training().beats(leads)


def do_run(run: Run) -> None:
    """Train without the fold's patients, name their beats, and write the result.

    Raises:
        ConfigError: the result cannot be written.
    """
    import torch

    from trainer.beats.training import device_of

    torch.set_num_threads(1)  # repeatable to the bit, and no slower for so small a network
    device = device_of(run.device)
    beats = _open(run.dataset, run.experiment.leads)
    rows, scored = rows_for(beats, run.recipe), scored_rows(beats, run.experiment)
    left_out = list(run.left_out)
    rows = rows[~np.isin(beats.patients[rows], left_out)]
    scored = scored[np.isin(beats.patients[scored], left_out)]
    net, made = train_members(beats, rows, run.recipe, run.seed, device=device)
    named = predict(net, beats, scored, device).argmax(1)
    records = {}
    for record in np.unique(beats.records[scored]).tolist():
        mine = beats.records[scored] == record
        records[record] = counts_of(beats.labels[scored][mine], named[mine]).tolist()
    write_json(
        run.file,
        {
            "key": run.key,
            "variant": run.recipe.name,
            "seed": run.seed,
            "fold": run.fold,
            "left_out": left_out,
            "epochs": [one.best for one in made],
            "records": records,
        },
    )


def run_all(runs: Sequence[Run], processes: int, done: Callable[[int], None] = lambda count: None) -> int:
    """Do what has no result yet, several at a time; `done` is called with the number of runs finished.

    Returns:
        How many were to be done.
    """
    missing = {run.key: run for run in runs if run.result() is None}
    done(sum(run.key not in missing for run in runs))
    each(do_run, list(missing.values()), processes, lambda run: done(sum(one.key == run.key for one in runs)))
    return len(missing)


# --- results


@dataclass(frozen=True, slots=True)
class Comparison:
    """What cross-validation says of a variant.

    Attributes:
        name: of the variant.
        grades: one a seed whose folds are all done.
        records: (classes, classes) counts of each record, over those seeds.
        expected: how many seeds were asked for.
    """

    name: str
    grades: tuple[Grade, ...]
    records: dict[str, NDArray[np.int64]]
    expected: int

    def mean(self, measure: str) -> float:
        """Mean over seeds; NaN without any."""
        values = [getattr(one, measure) for one in self.grades]
        return float(np.mean(values)) if values else float("nan")

    def spread(self, measure: str) -> float:
        """Standard deviation over seeds; NaN for fewer than two."""
        values = [getattr(one, measure) for one in self.grades]
        return float(np.std(values, ddof=1)) if len(values) > 1 else float("nan")

    def as_dict(self) -> dict[str, Any]:
        """For files and the model card."""
        measures = {name: _rounded(self.mean(name), self.spread(name)) for name in MEASURES}
        return {"variant": self.name, "seeds": len(self.grades), "of": self.expected, **measures}


MEASURES: Final = ("v_f1", "s_f1", "f_f1", "accuracy", "macro_f1", "kappa", "score")


def _rounded(mean: float, spread: float) -> dict[str, float | None]:
    return {"mean": _number(mean), "spread": _number(spread)}


def _number(value: float) -> float | None:
    return None if np.isnan(value) else round(value, 4)


def compare(runs: Sequence[Run]) -> list[Comparison]:
    """The variants, best first; those without a seed that is done come last."""
    found = []
    for name in dict.fromkeys(run.recipe.name for run in runs):
        mine = [run for run in runs if run.recipe.name == name]
        grades: list[Grade] = []
        records: dict[str, NDArray[np.int64]] = {}
        seeds = list(dict.fromkeys(run.seed for run in mine))
        for seed in seeds:
            results = [run.result() for run in mine if run.seed == seed]
            whole = [result for result in results if result is not None]
            if len(whole) < len(results):
                continue
            counts = {r: np.array(c, np.int64) for result in whole for r, c in result["records"].items()}
            grades.append(grade_counts(np.sum(list(counts.values()), axis=0)))
            for record, count in counts.items():
                records[record] = records.get(record, 0) + count
        found.append(Comparison(name, tuple(grades), records, len(seeds)))
    return sorted(found, key=lambda one: -one.mean("score") if one.grades else np.inf)
