"""The shape of the project, read from its source: who imports whom, what `__init__` holds, how long things get."""

import ast
import sys
from collections.abc import Iterator
from graphlib import TopologicalSorter
from importlib.util import find_spec
from pathlib import Path

import pytest

import edgenet
from edgenet.cli.app import VERBS

ROOT = Path(__file__).resolve().parent.parent
ROOMS = ("edgenet", "converters", "devices", "benchmarks")
MAX_FILE_LINES = 500
MAX_FUNCTION_LINES = 50

# A room may import itself and what stands here. The roof is the command line, the public face, bundles, which run the
# files that they pack, training, which ends by writing a run as a verified file with a page about it, and scaling,
# which trains, converts and measures: they need converters and benchmarks, and none of these needs them.
ROOF = ("bundle", "cli", "scaling", "training")
MAY_IMPORT = {
    "roof": {"benchmarks", "converters", "devices", "core"},
    "peers": {
        "roof",
        "benchmarks",
        "converters",
        "devices",
        "core",
    },  # scripts that measure the whole; nothing needs them
    "benchmarks": {"converters", "devices", "core"},
    "converters": {"core"},
    "devices": {"core"},
    "core": set(),
}
# What a command may load before it runs: `edgenet --help`, `list` and `info` have to start in 0.3 s.
LIGHT_PACKAGES = {"typer"}


def _module(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


SOURCES = {_module(path): path for room in ROOMS for path in sorted((ROOT / room).rglob("*.py"))}
TREES = {module: ast.parse(path.read_text(encoding="utf-8")) for module, path in SOURCES.items()}
ALL_FILES = [*SOURCES.values(), *sorted((ROOT / "tests").rglob("*.py"))]


def _room(module: str) -> str:
    first, _, rest = module.partition(".")
    if module.startswith("benchmarks.peers."):
        return "peers"
    if first != "edgenet":
        return first
    return "roof" if rest in ("", "__main__") or rest.split(".")[0] in ROOF else "core"


def _imports(nodes: Iterator[ast.AST]) -> Iterator[str]:
    """Yield the full name of each module that the nodes import; `from a import b` is a.b where that is a module."""
    for node in nodes:
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"relative import of {node.module}"
            for alias in node.names:
                full = f"{node.module}.{alias.name}"
                yield full if full in SOURCES else str(node.module)


def _own_imports(module: str) -> set[str]:
    return {name for name in _imports(ast.walk(TREES[module])) if name in SOURCES}


def _on_import(body: list[ast.stmt]) -> Iterator[ast.AST]:
    """Yield the statements that run when a module is imported; not function bodies, nor blocks for type checkers."""
    for node in body:
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            continue
        yield node
        for field in ("body", "orelse", "finalbody"):
            if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                yield from _on_import(getattr(node, field, []))


@pytest.mark.parametrize("module", SOURCES)
def test_imports_go_down(module: str) -> None:
    room = _room(module)
    wrong = {name for name in _own_imports(module) if _room(name) not in MAY_IMPORT[room] | {room}}
    assert not wrong, f"{module} ({room}) must not import {wrong}"


def test_imports_make_no_circle() -> None:
    order = list(TopologicalSorter({module: _own_imports(module) for module in SOURCES}).static_order())
    assert set(order) == set(SOURCES)


def _inits() -> list[str]:
    return [module for module, path in SOURCES.items() if path.name == "__init__.py" and module != "edgenet"]


@pytest.mark.parametrize("module", _inits())
def test_init_holds_a_docstring_only(module: str) -> None:
    tree = TREES[module]
    assert len(tree.body) == 1
    assert ast.get_docstring(tree)


@pytest.mark.parametrize("path", ALL_FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_files_and_functions_are_short(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert len(text.splitlines()) <= MAX_FILE_LINES
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            lines = (node.end_lineno or node.lineno) - node.lineno + 1
            assert lines <= MAX_FUNCTION_LINES, f"{node.name} has {lines} lines"


@pytest.mark.parametrize("module", SOURCES)
def test_modules_have_a_docstring(module: str) -> None:
    assert ast.get_docstring(TREES[module]) or not TREES[module].body


def test_commands_load_nothing_heavy_before_they_run() -> None:
    waiting = ["edgenet.__main__", "edgenet.cli.app", *(row.module for row in VERBS.values())]
    seen: set[str] = set()
    while waiting:
        module = waiting.pop()
        seen.add(module)
        names = set(_imports(_on_import(TREES[module].body)))
        outside = {name.split(".")[0] for name in names} - set(ROOMS) - sys.stdlib_module_names
        assert outside <= LIGHT_PACKAGES, f"{module} imports {outside - LIGHT_PACKAGES} when it is imported"
        waiting += (name for name in names if name in SOURCES and name not in seen)
    assert "edgenet.layers" in seen


def test_the_tables_of_names_lead_somewhere() -> None:
    assert {row.module for row in VERBS.values()} <= set(SOURCES)
    assert {f"edgenet.cli.{verb}" for verb in VERBS} == {row.module for row in VERBS.values()}
    assert set(edgenet._HOMES.values()) <= set(SOURCES)
    assert all(find_spec(module) for module in edgenet._HOMES.values())


def test_the_public_face_is_exact() -> None:
    for_type_checkers = {
        alias.name: node.module
        for node in ast.walk(TREES["edgenet"])
        if isinstance(node, ast.ImportFrom) and str(node.module).partition(".")[0] in ROOMS
        for alias in node.names
    }
    assert for_type_checkers == edgenet._HOMES
    assert set(edgenet.__all__) == set(edgenet._HOMES)
    assert list(edgenet._HOMES) == sorted(edgenet._HOMES)
    for name in edgenet.__all__:
        assert getattr(edgenet, name).__class__ is not None
    with pytest.raises(AttributeError, match="module 'edgenet' has no attribute 'nothing'"):
        _ = edgenet.nothing
