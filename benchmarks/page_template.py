"""The templates of all pages: what they share, and how they are read."""

from __future__ import annotations

from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined, Template

TEMPLATES = Path(__file__).parent / "templates"


def page_template(name: str, *folders: Path) -> Template:
    """Return a page's template; `folders` are looked into before the shared one."""
    environment = Environment(
        loader=FileSystemLoader([*folders, TEMPLATES]),
        autoescape=True,  # of everything: names come from devices, files and folders, messages from tools
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template(name)
