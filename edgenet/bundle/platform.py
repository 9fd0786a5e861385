"""What a platform is: where things lie in its bundles, which names it takes, and what no template can write."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from edgenet.precision import IO_TYPES, IoType

if TYPE_CHECKING:
    from edgenet.bundle.content import Content

Files = Mapping[str, bytes]


def nothing_more(content: Content, files: Files) -> Files:
    """Return no further files: for a platform whose templates write all."""
    return {}


def no_variables(content: Content) -> Mapping[str, object]:
    """Return no variables: for a platform whose templates need none of their own."""
    return {}


@dataclass(frozen=True)
class Platform:
    """One row of the table of platforms.

    `assets` and `golden` are folders inside the bundle; `{name}` in them is the bundle's name. `more` is given the
    content and all files so far, and returns those that no template makes.
    """

    templates: str
    about: str
    assets: str
    golden: str
    check_name: Callable[[str], str]
    default_name: Callable[[str], str]
    next_step: str  # what a user would do with the folder {out}
    takes_package: bool = False  # whether --package has a meaning
    api: str = ""  # which of its `apis` this row is
    apis: Mapping[str, Platform] = field(default_factory=dict)  # a row for each value of --api
    api_templates: str = ""  # a second folder: what differs from one of them to the next
    takes_core_ml: bool = False  # whether --core-ml has a meaning
    inputs: tuple[IoType, ...] = IO_TYPES
    variables: Callable[[Content], Mapping[str, object]] = no_variables  # of its templates, beside those of all
    more: Callable[[Content, Files], Files] = nothing_more
