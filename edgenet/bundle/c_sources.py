"""Platform `c`: a header and a source file over the TensorFlow Lite C API, built by CMake."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from edgenet.bundle.names import c_name, default_name
from edgenet.bundle.plain_golden import plain_golden
from edgenet.bundle.platform import Files, Platform

if TYPE_CHECKING:
    from edgenet.bundle.content import Content


def _plain_golden(content: Content, files: Files) -> Files:
    """Return the golden vectors as C reads them."""
    return plain_golden(content.golden, "golden/")


_TYPES = {"float32": "float", "uint8": "uint8_t", "int8": "int8_t"}


def _variables(content: Content) -> Mapping[str, object]:
    return {
        "c_input": _TYPES[content.input.type],
        "c_output": _TYPES[content.output.type],
        "c_scale": f"{content.output.scale:.9e}f",
    }


C = Platform(
    templates="c",
    about="a header and a source file over the TensorFlow Lite C API",
    assets="assets/",
    golden="golden/",
    check_name=c_name,
    default_name=default_name,
    next_step="cmake -S {out} -B build -DTFLITE_C_DIR=DIR && cmake --build build && ctest --test-dir build",
    variables=_variables,
    more=_plain_golden,
)
