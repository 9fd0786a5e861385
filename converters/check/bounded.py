"""Read a flatbuffer that may be damaged or made to do harm: every offset and length is held against the file.

Nothing here trusts what it reads. Many offsets may point to one place, so a small file can stand for an endless
graph; what is read in all is therefore counted, and a file that asks for too much is refused.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

from edgenet.errors import InputError

# Tables, and what vectors and strings hold, at so many bytes a row; b0 in w8a8 has 4 122.
LIMIT_ROWS = 500_000
BYTES_A_ROW = 32


class Buffer:
    """The bytes of a flatbuffer, and how much has been read of them."""

    def __init__(self, content: bytes | memoryview, what: str) -> None:
        self.content = memoryview(content)
        self.what = what
        self._rows = 0

    def number(self, form: str, place: int) -> int | float:
        """Return the little-endian number of a struct format at a place."""
        size_bytes = struct.calcsize(form)
        self.check(place, size_bytes)
        (value,) = struct.unpack_from(f"<{form}", self.content, place)
        return value  # type: ignore[no-any-return]  # struct gives Any; a number for every form used here

    def whole(self, form: str, place: int) -> int:
        """Return the whole number of a struct format at a place."""
        return int(self.number(form, place))

    def check(self, place: int, size_bytes: int) -> None:
        """Raise InputError unless so many bytes lie at a place."""
        if place < 0 or size_bytes < 0 or place + size_bytes > len(self.content):
            raise InputError(
                f"{self.what} points to byte {place + size_bytes} of {len(self.content)}: it is truncated or damaged"
            )

    def spend(self, rows: int) -> None:
        """Count rows that are read; raise InputError for a file that asks for more than any network has."""
        self._rows += rows
        if self._rows > LIMIT_ROWS:
            raise InputError(f"{self.what} describes more than {LIMIT_ROWS:,} tables: no network is so large")

    def root(self) -> Table:
        """Return the table that the buffer begins with."""
        return self.at(self.whole("I", 0))

    def at(self, place: int) -> Table:
        """Return the table at a place, its directory of fields checked."""
        self.spend(1)
        directory = place - self.whole("i", place)
        size_bytes = self.whole("H", directory)
        if size_bytes < 4 or size_bytes % 2:
            raise InputError(f"{self.what} has a table directory of {size_bytes} bytes at {directory}: it is damaged")
        self.check(directory, size_bytes)
        return Table(self, place, directory, (size_bytes - 4) // 2)


@dataclass(frozen=True)
class Table:
    """One table of a flatbuffer; a field is spoken of by its number in the schema."""

    buffer: Buffer
    place: int
    directory: int
    fields: int

    def _field(self, field: int) -> int:
        """Return where a field lies; 0 = it is left out."""
        if field >= self.fields:
            return 0
        offset = self.buffer.whole("H", self.directory + 4 + 2 * field)
        return self.place + offset if offset else 0

    def _target(self, field: int) -> int:
        """Return where the vector, string or table of a field lies; 0 = it is left out."""
        place = self._field(field)
        return place + self.buffer.whole("I", place) if place else 0

    def has(self, field: int) -> bool:
        """Return whether a field is there."""
        return bool(self._field(field))

    def number(self, field: int, form: str, default: int | float = 0) -> int | float:
        """Return a number; `default` where the file leaves it out."""
        place = self._field(field)
        return self.buffer.number(form, place) if place else default

    def whole(self, field: int, form: str, default: int = 0) -> int:
        """Return a whole number; `default` where the file leaves it out."""
        return int(self.number(field, form, default))

    def table(self, field: int) -> Table | None:
        """Return a table inside this one; None where it is left out."""
        place = self._target(field)
        return self.buffer.at(place) if place else None

    def tables(self, field: int) -> list[Table]:
        """Return the tables of a vector."""
        start, count = self._vector(field, 4)
        self.buffer.spend(count)
        places = (start + 4 * index for index in range(count))
        return [self.buffer.at(place + self.buffer.whole("I", place)) for place in places]

    def wholes(self, field: int, form: str) -> tuple[int, ...]:
        """Return the whole numbers of a vector."""
        return tuple(map(int, self.numbers(field, form)))

    def numbers(self, field: int, form: str) -> tuple[float, ...]:
        """Return the numbers of a vector."""
        size_bytes = struct.calcsize(form)
        start, count = self._vector(field, size_bytes)
        self.buffer.spend(1 + count * size_bytes // BYTES_A_ROW)
        return struct.unpack_from(f"<{count}{form}", self.buffer.content, start)

    def count(self, field: int, size_bytes: int) -> int:
        """Return how many elements of a size a vector has, without reading them."""
        return self._vector(field, size_bytes)[1]

    def data(self, field: int) -> memoryview:
        """Return the bytes of a vector, not copied."""
        start, count = self._vector(field, 1)
        return self.buffer.content[start : start + count]

    def text(self, field: int) -> str:
        """Return a string; what is no UTF-8 in it, or cannot be printed, is replaced."""
        raw = self.data(field)
        self.buffer.spend(1 + len(raw) // BYTES_A_ROW)
        decoded = bytes(raw).decode("utf-8", "replace")
        # A name that moves a terminal's cursor would lie about what stands beside it.
        return "".join(letter if letter.isprintable() else "\N{REPLACEMENT CHARACTER}" for letter in decoded)

    def texts(self, field: int) -> list[memoryview]:
        """Return the strings of a vector as bytes: flatbuffers inside a flatbuffer lie in such."""
        start, count = self._vector(field, 4)
        self.buffer.spend(count)
        found = []
        for place in (start + 4 * index for index in range(count)):
            string = place + self.buffer.whole("I", place)
            size_bytes = self.buffer.whole("I", string)
            self.buffer.check(string + 4, size_bytes)
            found.append(self.buffer.content[string + 4 : string + 4 + size_bytes])
        return found

    def _vector(self, field: int, size_bytes: int) -> tuple[int, int]:
        """Return where a vector's elements begin and how many there are; (0, 0) where it is left out."""
        place = self._target(field)
        if not place:
            return 0, 0
        count = self.buffer.whole("I", place)
        self.buffer.check(place + 4, count * size_bytes)
        return place + 4, count
