"""Golden vectors once more as PPM and lines of text, which any language reads without a library."""

from __future__ import annotations

from io import BytesIO

from PIL import Image

from edgenet.bundle.golden import Golden
from edgenet.bundle.record import GoldenDocument


def plain_golden(golden: Golden, folder: str) -> dict[str, bytes]:
    """Return the pictures as PPM files, and golden.txt, by their path inside the bundle; `folder` ends with `/`."""
    more = {}
    for name, picture in golden.pictures.items():
        stream = BytesIO()
        Image.open(BytesIO(picture)).save(stream, "PPM")
        more[f"{folder}{name.removesuffix('.png')}.ppm"] = stream.getvalue()
    more[f"{folder}golden.txt"] = golden_text(golden.document)
    return more


def golden_text(document: GoldenDocument) -> bytes:
    """Return how many vectors there are, both tolerances, and for each its pictures, its classes and their logits."""
    lines = [f"{len(document.cases)} {document.pixel_tolerance} {document.logit_tolerance:.9g}"]
    for case in document.cases:
        stems = (case.photo.removesuffix(".png"), case.seen.removesuffix(".png"))
        lines.append(f"{stems[0]}.ppm {stems[1]}.ppm {len(case.top)}")
        lines += [f"{row.index} {row.logit:.9g}" for row in case.top]
    return ("\n".join(lines) + "\n").encode()
