"""Who may import whom: the design's dependency directions, read from the source itself."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

VOCABULARY = {"monitor.exceptions", "monitor.ecg"}
PURE = VOCABULARY | {
    f"monitor.{name}"
    for name in (
        *("alarm_states", "alarm_table", "alarms", "commands", "profiles"),
        *("align", "backfill", "beats", "events", "feed", "filters", "frontend", "lateness", "messages"),
        *("shapes", "timing"),
        *("atrial", "clusters", "fibrillation", "likeness", "losses", "measures", "naming", "waves", "window"),
        *("ordered", "plausible", "qrs", "rhythm", "sequencer", "snapshot", "tick", "told", "views", "ward"),
        *("conditions", "rate", "ventricular", "supraventricular", "atrial_fibrillation"),
    )
}
"""Values in, values out: no clock, no await, no I/O."""
CORE = PURE | {
    f"monitor.{name}"
    for name in (*("classifier", "fibrillation_weights", "judge", "kernel", "machine", "quality", "records", "replay"),)
}
IMPURE = {"asyncio", "datetime", "random", "socket", "subprocess", "threading", "time", "gmqtt", "websockets"}


def modules(package: str) -> dict[str, ast.Module]:
    """Module name -> syntax tree, of every source file of a package."""
    found = {}
    for path in (ROOT / package).rglob("*.py"):
        parts = path.relative_to(ROOT).with_suffix("").parts
        name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
        found[name] = ast.parse(path.read_text(encoding="utf-8"), str(path))
    assert found, f"no sources below {ROOT / package}"
    return found


def imports(tree: ast.Module, known: set[str]) -> set[str]:
    """Modules that a module imports anywhere, inside functions too; ``from a import b`` is a.b if that is one."""
    names = set()
    for node in ast.walk(tree):
        match node:
            case ast.Import():
                names |= {alias.name for alias in node.names}
            case ast.ImportFrom(level=0, module=str(module)):
                names |= {f"{module}.{a.name}" if f"{module}.{a.name}" in known else module for a in node.names}
            case ast.ImportFrom():
                raise AssertionError(f"relative import in line {node.lineno}: write it in full")
    return names


MODULES = {package: modules(package) for package in ("monitor", "trainer", "simulators")}
KNOWN = {name for found in MODULES.values() for name in found}
EDGES = {
    (name, target) for found in MODULES.values() for name, tree in found.items() for target in imports(tree, KNOWN)
}


def edges(source, target) -> list[str]:
    """Imports from a module for which `source` holds, of one for which `target` does."""
    return sorted(f"{a} imports {b}" for a, b in EDGES if source(a) and target(b))


def below(*packages: str):
    return lambda name: name.split(".")[0] in packages


def test_monitor_imports_neither_trainer_nor_simulators():
    assert edges(below("monitor"), below("trainer", "simulators")) == []


def test_trainer_and_simulators_import_only_the_core():
    """What runs a ward is no business of theirs, but for two: child processes, and the monitor that is one."""
    shell = {name for name in MODULES["monitor"] if name not in CORE and name != "monitor"}
    bench = {name for name in MODULES["simulators"] if name.startswith("simulators.live")}
    processes = {"monitor.broker", "monitor.child", "monitor.cli"}  # what the bench of a whole monitor starts
    assert edges(lambda name: below("trainer", "simulators")(name) and name not in bench, lambda n: n in shell) == []
    assert edges(lambda name: name in bench, lambda name: name in shell - processes) == []


def test_trainer_and_simulators_do_not_know_each_other():
    """But for the bench of the standard waveforms: simulators draw them, the trainer scores what the monitor says."""
    bench = {name for name in MODULES["trainer"] if name.startswith("trainer.standard")}
    assert edges(lambda name: below("trainer")(name) and name not in bench, below("simulators")) == []
    assert edges(below("simulators"), below("trainer")) == []


def test_core_does_not_import_the_shell():
    shell = {name for name in MODULES["monitor"] if name not in CORE and name != "monitor"}
    assert edges(lambda name: name in CORE, lambda name: name in shell) == []


def test_vocabulary_imports_nothing_of_ours_but_itself():
    assert edges(lambda name: name in VOCABULARY, lambda name: name in KNOWN - VOCABULARY) == []


@pytest.mark.parametrize("name", sorted(PURE))
def test_pure_modules_know_no_clock_and_no_io(name):
    tree = MODULES["monitor"][name]
    assert {target.split(".")[0] for target in imports(tree, KNOWN)} & IMPURE == set()
    assert not [n for n in ast.walk(tree) if isinstance(n, ast.AsyncFunctionDef | ast.Await | ast.Global)]
    calls = {n.func.id for n in ast.walk(tree) if isinstance(n, ast.Call) and isinstance(n.func, ast.Name)}
    assert not calls & {"open", "print", "input"}


def test_no_import_cycles():
    graph = {name: {b for a, b in EDGES if a == name and b in KNOWN and b != name} for name in KNOWN}
    while leaves := {name for name, targets in graph.items() if not targets}:
        graph = {name: targets - leaves for name, targets in graph.items() if name not in leaves}
    assert graph == {}, "these modules import each other in a circle, or something that does"
