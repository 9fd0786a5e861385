"""What an op is set to: stride, dilation, fused activation, ..., read from its options table.

The numbers are the fields' places in TensorFlow's lite/schema/schema.fbs; a struct format and the schema's default
stand beside each. What no rule asks for is not read.
"""

from __future__ import annotations

from converters.check.bounded import Table

Field = tuple[int, str, int]

_FUSED: dict[str, Field] = {"fused_activation": (0, "b", 0)}
_POOL: dict[str, Field] = {
    "stride_w": (1, "i", 0), "stride_h": (2, "i", 0), "window_w": (3, "i", 0), "window_h": (4, "i", 0),
    "fused_activation": (5, "b", 0),
}  # fmt: skip
FIELDS: dict[str, dict[str, Field]] = {
    "CONV_2D": {"fused_activation": (3, "b", 0), "dilation_w": (4, "i", 1), "dilation_h": (5, "i", 1)},
    "DEPTHWISE_CONV_2D": {"fused_activation": (4, "b", 0), "dilation_w": (5, "i", 1), "dilation_h": (6, "i", 1)},
    "AVERAGE_POOL_2D": _POOL,
    "MAX_POOL_2D": _POOL,
    "FULLY_CONNECTED": {"fused_activation": (0, "b", 0), "weights_format": (1, "b", 0)},
    "CONCATENATION": {"axis": (0, "i", 0), "fused_activation": (1, "b", 0)},
    "PACK": {"axis": (1, "i", 0)},
    "ADD": _FUSED,
    "SUB": _FUSED,
    "MUL": _FUSED,
    "DIV": _FUSED,
    "L2_NORMALIZATION": _FUSED,
    "RESIZE_BILINEAR": {"align_corners": (2, "b", 0)},
}
NO_ACTIVATION = 0


def read_options(name: str, table: Table | None) -> dict[str, int | float]:
    """Return the settings of an op; the schema's defaults where the file leaves them out."""
    fields = FIELDS.get(name, {})
    if table is None:
        return {key: default for key, (_, _, default) in fields.items()}
    return {key: table.number(place, form, default) for key, (place, form, default) in fields.items()}
