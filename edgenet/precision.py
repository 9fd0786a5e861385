"""The precisions a file can be written in, and the types its ends can have."""

from typing import Literal, get_args

from edgenet.errors import InputError

Precision = Literal["fp32", "fp16", "w8", "w8d", "w8a8", "w8a16"]
IoType = Literal["float32", "int8", "uint8"]

PRECISIONS: tuple[Precision, ...] = get_args(Precision)
IO_TYPES: tuple[IoType, ...] = get_args(IoType)

MEANING: dict[Precision, str] = {
    "fp32": "32-bit float",
    "fp16": "16-bit float weights, float arithmetic",
    "w8": "8-bit weights, float arithmetic",
    "w8d": "8-bit weights, activations quantized at run time (dynamic range)",
    "w8a8": "8-bit weights and activations (full integer)",
    "w8a16": "8-bit weights, 16-bit activations: for NPUs, about 40 times slower than w8a8 on a CPU",
}


def parse_precisions(text: str) -> tuple[Precision, ...]:
    """Return the precisions of a comma-separated list, each once, in the order given; raise InputError."""
    words = [word.strip() for word in text.split(",") if word.strip()]
    for word in words:
        if word not in PRECISIONS:
            raise InputError(f"unknown precision {word!r}", allowed=", ".join(PRECISIONS), mend="--int8 means w8a8")
    if not words:
        raise InputError("no precision was given", allowed=", ".join(PRECISIONS), mend="try --precision fp32,w8a8")
    return tuple(dict.fromkeys(word for word in PRECISIONS if word in words))


def default_io(precision: Precision) -> IoType:
    """Return the file's input and output type: uint8 for full integer, since phone libraries refuse int8 there."""
    return "uint8" if precision == "w8a8" else "float32"


def parse_io(text: str, precision: Precision) -> IoType:
    """Return the input and output type for `precision`; "" is its default; raise InputError for what it cannot have."""
    if not text:
        return default_io(precision)
    if text not in IO_TYPES:
        raise InputError(f"unknown --io {text!r}", allowed=", ".join(IO_TYPES))
    if precision != "w8a8" and text != "float32":
        raise InputError(f"{precision} has float32 ends, not {text}", allowed="float32", mend="--io goes with w8a8")
    return IO_TYPES[IO_TYPES.index(text)]
