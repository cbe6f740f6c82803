"""Experiments: read from TOML, run once, resumed where they stopped, the same in two processes as in one."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import trainer.beats.experiment
from monitor.exceptions import ConfigError
from trainer.beats.dataset import DataSet
from trainer.beats.experiment import (
    SHIPPED,
    Experiment,
    compare,
    do_run,
    find_experiment,
    read_experiment,
    run_all,
    runs_of,
    scored_rows,
)
from trainer.beats.experiments_report import as_json, result_tables, write_experiment, write_report
from trainer.beats.model import Architecture
from trainer.beats.recipes import Recipe
from trainer.scoring.grades import grade_counts
from trainer.splits import folds

QUICK = Recipe("plain", Architecture(channels=()), epochs=1, batch=32)


@pytest.fixture
def experiment(data: DataSet) -> Experiment:
    database = data.sources[0]["database"]
    return Experiment("small", 1, (QUICK, replace(QUICK, name="focal", loss="focal")), (0, 1), 3, databases=(database,))


def results(folder: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in (folder / "results").iterdir()}


def written(tmp_path: Path, text: str) -> Path:
    (tmp_path / "x.toml").write_text(text)
    return tmp_path / "x.toml"


def test_a_grid_of_variants(tmp_path: Path) -> None:
    found = find_experiment(
        written(
            tmp_path,
            """
            seeds = [0, 7]
            [base]
            epochs = 2
            architecture.embedding = 5
            [grid]
            loss = ["cross_entropy", "focal"]
            "architecture.lstm" = [0, 4]
            [[variants]]
            name = "a"
            [[variants]]
            name = "b"
            epochs = 3
            architecture.dropout = 0.1
            """,
        )
    )
    assert (found.name, found.leads, found.seeds, len(found.recipes)) == ("x", 1, (0, 7), 8)
    last = found.recipes[-1]
    assert last.name == "b loss=focal lstm=4"
    assert (last.epochs, last.loss) == (3, "focal")
    assert last.architecture == Architecture(embedding=5, lstm=4, dropout=0.1)
    assert found.variant("a loss=focal lstm=0").epochs == 2


def test_leads_can_be_chosen_outside_the_file(tmp_path: Path) -> None:
    file = written(tmp_path, "leads = 1\n")
    assert find_experiment(file).scored == "first"
    two = find_experiment(file, 2)
    assert (two.scored, two.recipes[0].architecture.leads) == ("both", 2)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("speed = 1", "x.toml: speed: no such key; there are name"),
        ("leads = 3", "x.toml: leads: 3 leads"),
        ("seeds = []", "x.toml: seeds: []"),
        ("folds = 1", "x.toml: folds: 1"),
        ("[base]\nspeed = 1", "x.toml: speed: no such setting"),
        ("[base.architecture]\nspeed = 1", "x.toml: architecture.speed: no such setting"),
        ("[grid]\nloss = 'focal'", "x.toml: grid.loss: not a list"),
        ("[[variants]]\nname = 'a'\n[[variants]]\nname = 'a'", "x.toml: variants: two variants called a"),
        ("[", "x.toml: not TOML"),
    ],
)
def test_what_makes_no_sense(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        find_experiment(written(tmp_path, text))
    assert message in str(caught.value)
    assert "\n" not in caught.value.what


def test_what_is_not_there_is_told_what_ships() -> None:
    with pytest.raises(ConfigError, match=r"nowhere\.toml: cannot be read .*quick"):
        find_experiment("nowhere.toml")
    with pytest.raises(ConfigError, match="no variant soup; there are features alone, with window"):
        find_experiment("quick").variant("soup")
    with pytest.raises(ConfigError, match="several variants"):
        find_experiment("quick").variant("")


@pytest.mark.parametrize("name", sorted(file.stem for file in SHIPPED.glob("*.toml")))
def test_those_that_ship_can_be_read(name: str) -> None:
    assert find_experiment(name).recipes


def test_no_patient_is_on_both_sides(
    data: DataSet, experiment: Experiment, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    learnt: list[set[str]] = []
    named: list[set[str]] = []
    real_train, real_predict = trainer.beats.experiment.train_members, trainer.beats.experiment.predict

    def spy_train(beats: Any, rows: Any, *arguments: Any, **options: Any) -> Any:
        learnt.append(set(beats.patients[rows]))
        return real_train(beats, rows, *arguments, **options)

    def spy_predict(net: Any, beats: Any, rows: Any, *arguments: Any) -> Any:
        named.append(set(beats.patients[rows]))
        return real_predict(net, beats, rows, *arguments)

    monkeypatch.setattr(trainer.beats.experiment, "train_members", spy_train)
    monkeypatch.setattr(trainer.beats.experiment, "predict", spy_predict)
    runs = runs_of(experiment, data, tmp_path)
    run_all(runs, 1)
    assert len(runs) == len(learnt) == 12
    assert all(not ours & theirs for ours, theirs in zip(learnt, named, strict=True))
    beats = data.beats(1)
    scored = scored_rows(beats, experiment)
    assert set().union(*named) == set(beats.patients[scored])
    (best, other) = compare(runs)
    assert sum(int(counts.sum()) for counts in best.records.values()) == 2 * len(scored)
    assert best.mean("score") >= other.mean("score")


def test_two_processes_find_what_one_finds(data: DataSet, experiment: Experiment, tmp_path: Path) -> None:
    for processes in (1, 2):
        assert run_all(runs_of(experiment, data, tmp_path / str(processes)), processes) == 12
    assert results(tmp_path / "1") == results(tmp_path / "2")


def test_an_interrupted_experiment_goes_on_at_what_is_missing(
    data: DataSet, experiment: Experiment, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_all(runs_of(experiment, data, tmp_path / "whole"), 1)
    runs = runs_of(experiment, data, tmp_path / "parts")
    real = trainer.beats.experiment.write_json
    count = iter(range(5))

    def five_times(*arguments: Any) -> None:
        if next(count, None) is None:
            raise KeyboardInterrupt
        real(*arguments)

    monkeypatch.setattr(trainer.beats.experiment, "write_json", five_times)
    with pytest.raises(KeyboardInterrupt):
        run_all(runs, 1)
    monkeypatch.undo()
    (partial,) = (one for one in compare(runs) if one.name == "plain")
    assert (len(partial.grades), partial.expected) == (1, 2)
    told: list[int] = []
    assert run_all(runs, 1, told.append) == 7
    assert (told[0], sum(told)) == (5, 12)
    assert results(tmp_path / "parts") == results(tmp_path / "whole")
    assert run_all(runs, 1) == 0


def test_a_changed_setting_is_another_run(data: DataSet, experiment: Experiment, tmp_path: Path) -> None:
    keys = {run.key for run in runs_of(experiment, data, tmp_path)}
    faster = replace(experiment, recipes=tuple(replace(r, rate=1e-2) for r in experiment.recipes))
    for other in (faster, replace(experiment, scored="second")):
        assert not keys & {run.key for run in runs_of(other, data, tmp_path)}
    renamed = replace(experiment, recipes=tuple(replace(r, name=f"{r.name}!") for r in experiment.recipes))
    assert keys == {run.key for run in runs_of(renamed, data, tmp_path)}


def test_a_damaged_result_is_run_again(data: DataSet, experiment: Experiment, tmp_path: Path) -> None:
    run = runs_of(experiment, data, tmp_path)[0]
    do_run(run)
    whole = run.file.read_bytes()
    run.file.write_bytes(whole[:50])
    assert run.result() is None
    do_run(run)
    assert run.file.read_bytes() == whole


def test_patients_to_score_are_needed(data: DataSet, experiment: Experiment, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="0 patients to score"):
        runs_of(replace(experiment, databases=("mitdb-x",)), data, tmp_path)


def test_mean_and_spread_and_the_report(data: DataSet, experiment: Experiment, tmp_path: Path) -> None:
    runs = runs_of(experiment, data, tmp_path)
    run_all(runs, 1)
    found = compare(runs)
    for one in found:
        mine = [run for run in runs if run.recipe.name == one.name]
        by_seed = []
        for seed in experiment.seeds:
            whole = [run.result() for run in mine if run.seed == seed]
            counts = [np.array(c) for result in whole if result for c in result["records"].values()]
            by_seed.append(grade_counts(np.sum(counts, axis=0)).v_f1)
        assert np.isclose(one.mean("v_f1"), np.mean(by_seed))
        assert np.isclose(one.spread("v_f1"), np.std(by_seed, ddof=1))
    table = result_tables(experiment, found)[0]
    assert [row[0] for row in table.rows] == [one.name for one in found]
    assert all("±" in row[2] and row[1] == "2 of 2" for row in table.rows)
    write_experiment(experiment, data.folder, tmp_path)
    write_report(experiment, found, tmp_path)
    assert json.loads((tmp_path / "results.json").read_text()) == as_json(experiment, found)
    assert (tmp_path / "results.md").read_text().startswith("**small")
    assert (tmp_path / "results.png").read_bytes().startswith(b"\x89PNG")
    assert read_experiment(tmp_path) == (experiment, data.folder)
    with pytest.raises(ConfigError, match="no results of an experiment"):
        read_experiment(tmp_path / "results")


def test_records_of_one_patient_share_a_fold() -> None:
    found = folds(["a", "b", "c", "d", "e"], 2, together=("b", "e"))
    assert any({"b", "e"} <= set(fold) for fold in found)
