"""The classes of a model, and which of them a label means: by its name where the model knows names, else by number."""

from __future__ import annotations

import re
from dataclasses import dataclass

from edgenet.errors import InputError
from edgenet.labelled.example import some

_NUMBER = re.compile(r"[0-9]{1,9}")


@dataclass(frozen=True)
class Classes:
    """A model's classes, counted from 0 without a background class; `names` are its labels, () where it has none."""

    count: int
    names: tuple[str, ...] = ()

    def index_of(self, label: str, where: str) -> int:
        """Return the class that a label in words or digits means; raise InputError that says where it stands."""
        if label in self.names:
            return self.names.index(label)
        if _NUMBER.fullmatch(label):
            return self.checked(int(label), where)
        known = some(self.names) if self.names else f"a class index from 0 to {self.count - 1}"
        raise InputError(f"{where}: the label {label[:80]!r} is no class of the model", allowed=known)

    def checked(self, index: int, where: str) -> int:
        """Return a class index if the model has it; raise InputError."""
        if not 0 <= index < self.count:
            raise InputError(f"{where}: the model has no class {index}", allowed=f"0 to {self.count - 1}")
        return index
