"""Platform `flutter`: a Dart package over LiteRT."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from edgenet.bundle.names import dart_name, default_name
from edgenet.bundle.platform import Platform

if TYPE_CHECKING:
    from edgenet.bundle.content import Content

# As pub.dev has them in 2026. flutter_litert is the successor of tflite_flutter that is kept up: it brings its native
# libraries along, and 3.7 undid its deprecation of the interpreter's delegates.
VERSIONS = {"dart": "3.10.0", "flutter": "3.38.0", "flutter_litert": "3.10.0", "flutter_lints": "6.0.0"}


def _variables(content: Content) -> Mapping[str, object]:
    zero_point = content.output.zero_point
    return {"versions": VERSIONS, "output_zero_point": f"({zero_point})" if zero_point < 0 else zero_point}


FLUTTER = Platform(
    templates="flutter",
    about="a Dart package over LiteRT",
    assets="assets/",
    golden="assets/golden/",
    check_name=dart_name,
    default_name=default_name,
    next_step="cd {out} && flutter test",
    variables=_variables,
)
