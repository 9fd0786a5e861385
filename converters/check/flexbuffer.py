"""Read the map at the root of a FlexBuffer with every place checked: whole numbers and byte strings by key.

The format (flatbuffers, docs/source/flexbuffers): the last byte is the width of the root, the one before it its packed
type (kind << 2 | log2 of the width). A map lies as [keys' offset, keys' width, size, values..., packed types...].
"""

from __future__ import annotations

from converters.check.bounded import Buffer
from edgenet.errors import InputError

_INT, _UINT, _STRING, _MAP, _BLOB = 1, 2, 5, 9, 25
_WHOLE_FORMS = {1: ("b", "B"), 2: ("h", "H"), 4: ("i", "I"), 8: ("q", "Q")}
LIMIT_KEYS = 64  # the compiler writes five

Value = int | memoryview


def read_map(content: memoryview, what: str) -> dict[str, Value]:
    """Return the whole numbers and byte strings of a FlexBuffer's root map; raise InputError if it is none."""
    buffer = Buffer(content, what)
    buffer.check(len(content) - 3, 3)
    width, packed = content[-1], content[-2]
    if width not in _WHOLE_FORMS or packed >> 2 != _MAP:
        raise InputError(f"{what} is no FlexBuffer map: it is damaged")
    root = _back(buffer, len(content) - 2 - width, width)
    return _read_map(buffer, root, 1 << (packed & 3))


def _read_map(buffer: Buffer, place: int, width: int) -> dict[str, Value]:
    size = _unsigned(buffer, place - width, width)
    if size > LIMIT_KEYS:
        raise InputError(f"{buffer.what} has {size} keys", allowed=f"at most {LIMIT_KEYS}")
    keys_width = _unsigned(buffer, place - 2 * width, width)
    if keys_width not in _WHOLE_FORMS:
        raise InputError(f"{buffer.what} has keys of width {keys_width}: it is damaged")
    keys = _back(buffer, place - 3 * width, width)
    found: dict[str, Value] = {}
    for index in range(size):
        packed = buffer.whole("B", place + size * width + index)
        value = _value(buffer, place + index * width, width, packed)
        if value is not None:
            found[_key(buffer, _back(buffer, keys + index * keys_width, keys_width))] = value
    return found


def _value(buffer: Buffer, place: int, width: int, packed: int) -> Value | None:
    kind, inner = packed >> 2, 1 << (packed & 3)
    if kind in (_INT, _UINT):
        return buffer.whole(_WHOLE_FORMS[width][kind - _INT], place)
    if kind not in (_STRING, _BLOB):
        return None
    start = _back(buffer, place, width)
    size_bytes = _unsigned(buffer, start - inner, inner)
    buffer.check(start, size_bytes)
    return buffer.content[start : start + size_bytes]


def _key(buffer: Buffer, place: int) -> str:
    """Return the zero-ended string at a place."""
    buffer.check(place, 1)
    raw = bytes(buffer.content[place : place + LIMIT_KEYS])
    return raw.partition(b"\0")[0].decode("utf-8", "replace")


def _unsigned(buffer: Buffer, place: int, width: int) -> int:
    return buffer.whole(_WHOLE_FORMS[width][1], place)


def _back(buffer: Buffer, place: int, width: int) -> int:
    """Return the place that an offset names: so many bytes before the offset itself."""
    return place - _unsigned(buffer, place, width)
