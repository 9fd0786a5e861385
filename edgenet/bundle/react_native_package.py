"""Platform `react-native`: a TypeScript package over react-native-fast-tflite."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING

from edgenet.bundle.names import default_name, npm_name
from edgenet.bundle.plain_golden import plain_golden
from edgenet.bundle.platform import Files, Platform

if TYPE_CHECKING:
    from edgenet.bundle.content import Content

GOLDEN = "golden/"
# As npm has them in 2026; the peers are those that the sources were type-checked with.
VERSIONS = {
    "fast_tflite": "3.0.1",
    "skia": "2.14.0",
    "typescript": "7.0.2",
    "node_types": "20",
    "react_types": "19",
}


def _variables(content: Content) -> Mapping[str, object]:
    return {"versions": VERSIONS}


def _more(content: Content, files: Files) -> Files:
    """Return the labels as Metro reads them, and the golden vectors as the test does."""
    return {"assets/labels.json": f"{json.dumps(content.labels, indent=2)}\n".encode()} | dict(
        plain_golden(content.golden, GOLDEN)
    )


REACT_NATIVE = Platform(
    templates="react-native",
    about="a TypeScript package over react-native-fast-tflite",
    assets="assets/",
    golden=GOLDEN,
    check_name=npm_name,
    default_name=default_name,
    next_step="cd {out} && npm install --omit=peer && npm test",
    variables=_variables,
    more=_more,
)
