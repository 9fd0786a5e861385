"""Find the state dict inside a checkpoint, and its plain names."""

from collections.abc import Mapping
from typing import TypeVar

from edgenet.errors import InputError

Leaf = TypeVar("Leaf")

# Where training loops put the state dict; the averaged ("EMA") weights first, for they are the ones to deploy.
WRAPPERS = ("state_dict_ema", "model_ema", "ema_state_dict", "state_dict", "model_state_dict", "model", "net")
MAX_WRAPPINGS = 4  # a hostile dict can hold itself

# What data-parallel training, torch.compile and Lightning put before every name.
PREFIXES = ("module.", "_orig_mod.", "model.")


def unwrap(root: object, leaf: type[Leaf], what: str) -> tuple[dict[str, Leaf], tuple[str, ...]]:
    """Return the tensors (of type `leaf`) of a checkpoint by plain name, and a note on each thing that was unwrapped.

    Raises InputError where `root` holds no state dict, or one in which something is not a tensor.
    """
    notes: list[str] = []
    for _ in range(MAX_WRAPPINGS):
        key = _wrapper(root, leaf)
        if not isinstance(root, dict) or not key:
            break
        left = ", ".join(sorted(_brief(other) for other in root if other != key)[:6])
        notes.append(f"used {key!r} of the checkpoint" + (f" (beside it: {left})" if left else ""))
        root = root[key]
    if not isinstance(root, dict) or not _holds(root, leaf):
        held = ", ".join(_brief(key) for key in list(root)[:6]) if isinstance(root, dict) else type(root).__name__
        raise InputError(
            f"{what} holds no state dict, but {held or 'nothing'}",
            allowed=f"tensors by name, or under one of {', '.join(WRAPPERS)}",
            mend="save torch.save(model.state_dict(), FILE)",
        )
    odd = next((key for key, value in root.items() if not isinstance(value, leaf) or not isinstance(key, str)), None)
    if odd is not None:
        raise InputError(
            f"{what}: {_brief(odd)} in its state dict is no tensor", mend="remove it and save the file again"
        )
    tensors, prefix_notes = strip_prefixes(root)
    return tensors, (*notes, *prefix_notes)


def _holds(mapping: Mapping[object, object], leaf: type[Leaf]) -> bool:
    return any(isinstance(value, leaf) for value in mapping.values())


def _wrapper(root: object, leaf: type[Leaf]) -> str:
    """Return the key under which `root` keeps its state dict; "" where it is one itself or has none."""
    if not isinstance(root, dict) or _holds(root, leaf):
        return ""
    return next((key for key in WRAPPERS if isinstance(root.get(key), dict) and root[key]), "")


def _brief(key: object) -> str:
    return repr(key)[:40]


def strip_prefixes(tensors: Mapping[str, Leaf]) -> tuple[dict[str, Leaf], tuple[str, ...]]:
    """Return `tensors` without the prefixes that every name carries, and a note on each."""
    notes: list[str] = []
    plain = dict(tensors)
    while prefix := next((known for known in PREFIXES if plain and all(name.startswith(known) for name in plain)), ""):
        plain = {name.removeprefix(prefix): value for name, value in plain.items()}
        notes.append(f"took {prefix!r} off every name")
    return plain, tuple(notes)
