"""The shape of the house: imports go one way, the core is pure, files stay small."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
MOST_LINES = 450

LAYERS: tuple[tuple[str, ...], ...] = (
    ("dialer.domain",),
    ("dialer.flow",),
    ("dialer.config", "dialer.logs", "dialer.metrics", "dialer.health", "dialer.tls"),
    ("dialer.store", "dialer.switch", "dialer.speech", "dialer.messaging", "dialer.importing"),
    ("dialer.payments", "dialer.desk"),
    ("dialer.engine", "dialer.jobs", "dialer.webhooks", "dialer.local", "dialer.simulation"),
    ("agi_scripts", "web"),
    ("dialer.commands",),
    ("dialer.cli",),
    ("dialer.__main__",),
)
"""A part imports parts of earlier lines only (see docs/architecture.md). Parts of one line do not
know each other, but for the few in ``NEIGHBOURS``."""

NEIGHBOURS = {
    ("dialer.logs", "dialer.config"),
    ("dialer.engine", "dialer.jobs"),  # the engine enqueues what a worker then runs
    # The set-up and the processes of one machine start what they are made of.
    ("dialer.local", "dialer.simulation"),
}

RANK = {part: rank for rank, parts in enumerate(LAYERS) for part in parts}


def _sources() -> list[Path]:
    folders = ("dialer", "agi_scripts", "web")
    return sorted(path for folder in folders for path in (ROOT / folder).rglob("*.py"))


def _module(path: Path) -> str:
    name = ".".join(path.relative_to(ROOT).with_suffix("").parts)
    return name.removesuffix(".__init__")


def _part(module: str) -> str | None:
    """The part a module belongs to; None for what is not ours, and for the bare ``dialer``."""
    words = module.split(".")
    for length in (2, 1):
        part = ".".join(words[:length])
        if part in RANK:
            return part
    bare = len(words) == 1 or words[1] == "__version__"
    assert words[0] != "dialer" or bare, f"{module} belongs to no part: add it to LAYERS"
    return None


def _imports(path: Path) -> Iterator[tuple[int, str]]:
    """Line and full name of everything a file imports, also within functions."""
    for node in ast.walk(ast.parse(path.read_text(), str(path))):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield node.lineno, alias.name
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            assert node.module is not None
            for alias in node.names:
                yield node.lineno, f"{node.module}.{alias.name}"


def _breaches(module: str, imported: str) -> bool:
    own, other = _part(module), _part(imported)
    if own is None or other is None or own == other or (own, other) in NEIGHBOURS:
        return False
    return RANK[other] >= RANK[own]


def test_imports_go_one_way() -> None:
    wrong = [
        f"{path.relative_to(ROOT)}:{line} imports {imported}"
        for path in _sources()
        for line, imported in _imports(path)
        if _breaches(_module(path), imported)
    ]
    assert wrong == []


@pytest.mark.parametrize(
    ("module", "imported", "breach"),
    [
        ("dialer.domain.attempt", "dialer.flow.model", True),
        ("dialer.flow.values", "dialer.domain.model", False),
        ("dialer.store.db", "dialer.switch.names", True),
        ("dialer.engine.core", "dialer.store.db", False),
        ("dialer.engine.core", "dialer.cli.main", True),
        ("dialer.domain.attempt", "dialer.config.Settings", True),
        ("dialer.commands.web", "web.app", False),
        ("web.app", "dialer.commands.web", True),
        ("dialer.store.db", "sqlalchemy", False),
    ],
)
def test_the_rule_itself(module: str, imported: str, breach: bool) -> None:
    assert _breaches(module, imported) is breach


def test_a_new_part_must_be_placed() -> None:
    with pytest.raises(AssertionError, match="add it to LAYERS"):
        _part("dialer.unheard_of.module")


ARITHMETIC = {"dialer/domain/pacing": {"numpy"}}
"""The one exception to "standard library only": a pacing decision is arithmetic on some ten
thousand complex numbers, due every second, which plain Python cannot do in time. numpy is used
for that alone: no files, no clock, and no chance (held by the test after the next)."""


def _may_import(path: Path, imported: str) -> bool:
    """Whether a file of the domain may import that."""
    top = imported.split(".")[0]
    allowed = ARITHMETIC.get(str(path.parent.relative_to(ROOT)), set())
    return top in sys.stdlib_module_names or top in allowed or imported.startswith("dialer.domain")


def test_the_domain_knows_the_standard_library_only() -> None:
    wrong = [
        f"{path.relative_to(ROOT)}:{line} imports {imported}"
        for path in (ROOT / "dialer/domain").rglob("*.py")
        for line, imported in _imports(path)
        if not _may_import(path, imported)
    ]
    assert wrong == []


@pytest.mark.parametrize(
    ("path", "imported", "may"),
    [
        ("dialer/domain/pacing/loss.py", "numpy", True),
        ("dialer/domain/pacing/loss.py", "scipy", False),
        ("dialer/domain/attempt.py", "numpy", False),
        ("dialer/domain/attempt.py", "math", True),
        ("dialer/domain/attempt.py", "dialer.store.db", False),
    ],
)
def test_numpy_is_for_pacing_alone(path: str, imported: str, may: bool) -> None:
    assert _may_import(ROOT / path, imported) is may


def test_the_domain_takes_time_and_chance_as_arguments() -> None:
    """Only a decision that is a function of its arguments can be tested and repeated."""
    wrong = []
    for path in (ROOT / "dialer/domain").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
                called = ast.unparse(node.func)
                if called.split(".")[-1] in ("now", "utcnow", "today", "monotonic", "perf_counter"):
                    wrong.append(f"{path.name}:{node.lineno} {called}()")
                chance = ("random.", "np.random.", "numpy.random.", "secrets.", "uuid.")
                if called.startswith((*chance, "time.time", "os.", "open")):
                    wrong.append(f"{path.name}:{node.lineno} {called}()")
    assert wrong == []


def test_files_stay_small() -> None:
    folders = ("dialer", "agi_scripts", "web", "tests", "bench", "asterisk_conf", "tools")
    endings = {".py", ".j2", ".html", ".js", ".css", ""}
    long = {
        str(path.relative_to(ROOT)): lines
        for folder in folders
        for path in (ROOT / folder).rglob("*")
        if path.is_file()
        and path.suffix in endings
        # A migration describes one state of all tables; it is written once and never edited.
        and "migrations/versions" not in str(path)
        and (lines := len(path.read_text().splitlines())) >= MOST_LINES
    }
    assert long == {}


def _fixtures(path: Path) -> Iterator[str]:
    """Names of the pytest fixtures that a module defines."""
    for node in ast.parse(path.read_text()).body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            for mark in node.decorator_list:
                called = mark.func if isinstance(mark, ast.Call) else mark
                if ast.unparse(called) == "pytest.fixture":
                    yield node.name


def test_no_shared_fixture_hides_another() -> None:
    """They all are plugins, of which the last one loaded wins, in every test and without a word."""
    where: dict[str, list[str]] = {}
    for path in sorted((ROOT / "tests").glob("fixtures_*.py")):
        for name in _fixtures(path):
            where.setdefault(name, []).append(path.name)
    assert len(where) > 20
    assert {name: files for name, files in where.items() if len(files) > 1} == {}
