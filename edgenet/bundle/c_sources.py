"""Platform `c`: a header and a source file over the TensorFlow Lite C API, built by CMake."""

from __future__ import annotations

from collections.abc import Mapping
from io import BytesIO
from typing import TYPE_CHECKING

from PIL import Image

from edgenet.bundle.names import c_name, default_name
from edgenet.bundle.platform import Files, Platform

if TYPE_CHECKING:
    from edgenet.bundle.content import Content


def _plain_pictures(content: Content, files: Files) -> Files:
    """Return the golden pictures once more as PPM, and the golden values as lines: C reads both without a library."""
    more = {}
    for name, picture in content.golden.pictures.items():
        stream = BytesIO()
        Image.open(BytesIO(picture)).save(stream, "PPM")
        more[f"golden/{name.removesuffix('.png')}.ppm"] = stream.getvalue()
    document = content.golden.document
    lines = [f"{len(document.cases)} {document.pixel_tolerance} {document.logit_tolerance:.9g}"]
    for case in document.cases:
        stems = (case.photo.removesuffix(".png"), case.seen.removesuffix(".png"))
        lines.append(f"{stems[0]}.ppm {stems[1]}.ppm {len(case.top)}")
        lines += [f"{row.index} {row.logit:.9g}" for row in case.top]
    more["golden/golden.txt"] = ("\n".join(lines) + "\n").encode()
    return more


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
    more=_plain_pictures,
)
