"""Fill a platform's templates: one folder a platform, each file of it becomes a file of the bundle."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

TEMPLATES = Path(__file__).parent / "templates"
SUFFIX = ".j2"
_PLACES = re.compile("__(name|package_folder)__")  # in a template's path: a variable
_MARKUP = (".html", ".svg", ".xml")


def render_folder(platform: str, variables: Mapping[str, Any]) -> dict[str, bytes]:
    """Return the bundle's files by path, from all templates of a platform; a variable that is missing is an error.

    A template that writes nothing makes no file.
    """
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=lambda name: bool(name) and name.removesuffix(SUFFIX).endswith(_MARKUP),  # type: ignore[union-attr]  # bool(name) saw to None
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    folder = TEMPLATES / platform
    files = {}
    for path in sorted(folder.rglob(f"*{SUFFIX}")):
        inside = path.relative_to(TEMPLATES).as_posix()
        named = path.relative_to(folder).as_posix().removesuffix(SUFFIX)
        target = _PLACES.sub(lambda place: str(variables[place[1]]), named)
        files[target] = environment.get_template(inside).render(variables).encode()
    return {path: file for path, file in files.items() if file}
