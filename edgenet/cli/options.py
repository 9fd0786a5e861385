"""Options that several verbs share, so that they read and fail alike everywhere."""

from collections.abc import Callable
from typing import Annotated

import typer

from edgenet.errors import InputError


def whole_number(flag: str, low: int, high: int) -> Callable[[str | int], int]:
    """Return a parser of whole numbers from `low` to `high`; it raises InputError that names `flag`."""

    def parse(given: str | int) -> int:
        text = str(given)  # typer sends a default through here as well
        # isdecimal alone would let digits of other scripts through.
        if not (text.isascii() and text.isdecimal()) or not low <= int(text) <= high:
            raise InputError(f"{flag} cannot be {text!r}", allowed=f"a whole number from {low} to {high}")
        return int(text)

    return parse


Json = Annotated[bool, typer.Option("--json", help="Print one JSON document on stdout and nothing else there.")]
Side = Annotated[
    int | None,
    typer.Option(
        "--side",
        parser=whole_number("--side", 32, 4096),
        metavar="PX",
        help="Input side in pixels; the variant's own unless given.",
    ),
]
Classes = Annotated[
    int | None,
    typer.Option(
        "--classes",
        parser=whole_number("--classes", 1, 100_000),
        metavar="N",
        help="Number of classes; 1000 unless given.",
    ),
]
VariantName = Annotated[
    str,
    typer.Argument(
        metavar="VARIANT",
        show_default=False,
        help="b4, lite0, v2-s, ... or scaled:PHI[@FILE] (see edgenet list), or a .tflite or .onnx file.",
    ),
]
