"""How candidates of a search are trained: a recipe of edgenet's own, below one of the user's."""

from __future__ import annotations

from importlib import resources
from pathlib import Path

from edgenet.training.recipe import Recipe, read_recipe_over, recipe_of_text

PROXY_NAME = "proxy.toml"


def proxy_recipe(path: Path | None) -> Recipe:
    """Return the proxy's recipe, with what a file of the user's sets instead; raise InputError for anything unknown."""
    text = resources.files("edgenet.scaling").joinpath(PROXY_NAME).read_text(encoding="utf-8")
    default = recipe_of_text(text, PROXY_NAME)
    return read_recipe_over(path, default) if path else default
