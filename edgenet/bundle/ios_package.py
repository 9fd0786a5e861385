"""Platform `ios`: a Swift package over LiteRT, and with --core-ml the float network as a Core ML model."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from edgenet.bundle.names import default_swift_name, swift_name
from edgenet.bundle.plain_golden import plain_golden
from edgenet.bundle.platform import Files, Platform

if TYPE_CHECKING:
    from edgenet.bundle.content import Content

GOLDEN = "Tests/{name}Tests/Golden/"
# LiteRT's Swift package, as its own README says to depend on it.
LITERT = {"url": "https://github.com/google-ai-edge/LiteRT", "branch": "release/2.3.0"}


def _variables(content: Content) -> Mapping[str, object]:
    return {"litert": LITERT, "swift_scale": f"{content.output.scale:.9e}", "core_ml": None}


def _more(content: Content, files: Files) -> Files:
    """Return the golden vectors as Swift reads them."""
    return plain_golden(content.golden, GOLDEN.format(name=content.name))


IOS = Platform(
    templates="ios",
    about="a Swift package over LiteRT",
    assets="Sources/{name}/Resources/",
    golden=GOLDEN,
    check_name=swift_name,
    default_name=default_swift_name,
    next_step="swift test --package-path {out}",
    variables=_variables,
    more=_more,
)
