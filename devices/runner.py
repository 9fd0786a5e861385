"""The on-device runner as one self-contained file, made of the parts in devices/on_device."""

from __future__ import annotations

import ast
from functools import cache
from importlib import resources

# In this order: each uses only names of the parts before it.
PARTS = (
    "board",
    "edgetpu",
    "state",
    "governor",
    "lock",
    "litert_profile",
    "model_runtime",
    "child",
    "processes",
    "files",
    "answers",
    "session",
    "main",
)
OWN_PACKAGE = "devices.on_device"
FUTURE = "from __future__ import annotations\n"


@cache
def runner_source() -> str:
    """Return the runner's text: main's docstring, then the parts without their docstrings and imports of each other."""
    texts = {part: _part(part) for part in PARTS}
    head = ast.get_docstring(ast.parse(texts["main"]), clean=False)
    return "\n\n".join(['#!/usr/bin/env python3\n"""' + f'{head}"""\n\n{FUTURE}', *map(_body, texts.values())])


def _part(name: str) -> str:
    return (resources.files(OWN_PACKAGE) / f"{name}.py").read_text(encoding="utf-8")


def _body(text: str) -> str:
    """Return a part's lines without its docstring, `from __future__`, and imports from other parts."""
    lines = text.splitlines(keepends=True)
    tree = ast.parse(text)
    dropped = set()
    for position, node in enumerate(tree.body):
        own = isinstance(node, ast.ImportFrom) and str(node.module).startswith((OWN_PACKAGE, "__future__"))
        if own or position == 0:
            dropped |= set(range(node.lineno, (node.end_lineno or node.lineno) + 1))
    return "".join(line for number, line in enumerate(lines, 1) if number not in dropped).strip("\n") + "\n"
