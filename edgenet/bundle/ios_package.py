"""Platform `ios`: a Swift package over LiteRT, and with --core-ml the float network as a Core ML model."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from edgenet.bundle.names import default_swift_name, swift_name
from edgenet.bundle.plain_golden import plain_golden
from edgenet.bundle.platform import Files, Platform

if TYPE_CHECKING:
    from edgenet.bundle.content import Content

ASSETS, GOLDEN = "Sources/{name}/Resources/", "Tests/{name}Tests/Golden/"
# LiteRT's Swift package, as its own README says to depend on it.
LITERT = {"url": "https://github.com/google-ai-edge/LiteRT", "branch": "release/2.3.0"}


def _variables(content: Content) -> Mapping[str, object]:
    return {"litert": LITERT, "swift_scale": f"{content.output.scale:.9e}", "core_ml": bool(content.wishes.core_ml)}


def _more(content: Content, files: Files) -> Files:
    """Return the golden vectors as Swift reads them, and the Core ML package where one is wished for."""
    golden = GOLDEN.format(name=content.name)
    more = plain_golden(content.golden, golden)
    if content.wishes.core_ml:
        from edgenet.bundle.core_ml import core_ml_files

        more |= core_ml_files(content, f"{ASSETS}{{name}}.mlpackage/".format(name=content.name), golden)
    return more


IOS = Platform(
    templates="ios",
    about="a Swift package over LiteRT",
    assets=ASSETS,
    golden=GOLDEN,
    check_name=swift_name,
    default_name=default_swift_name,
    next_step="swift test --package-path {out}",
    takes_core_ml=True,
    variables=_variables,
    more=_more,
)
