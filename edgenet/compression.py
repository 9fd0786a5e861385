"""How a network is asked to become smaller, as `--prune`, `--cluster` and `--qat` spell it everywhere."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

from edgenet.errors import InputError

PruneKind = Literal["weights", "2:4", "channels"]

PRUNE_FORMS = "a share as 0.5 (weights of each layer), 2:4 (two of every four), channels:0.5 (multiply-accumulates)"
# Zero and a value to either side: fewer are hardly more than a sign. 8-bit weights have 255 levels.
FEWEST_CLUSTERS, MOST_CLUSTERS = 3, 128
PATTERN_KEPT, PATTERN_GROUP = 2, 4  # of 2:4, along a kernel's input channels


@dataclass(frozen=True)
class Pruning:
    """What is taken out of a network.

    weights: `share` of each pruned layer's weights become zero, those of the smallest magnitude. 2:4: two of every
    four neighbouring weights become zero (`share` is 0.5). channels: whole channels go, and with them `share` of the
    network's multiply-accumulates, so that channels:0.5 leaves half of them.
    """

    kind: PruneKind
    share: float

    @property
    def spelled(self) -> str:
        """Return the pruning as `--prune` takes it."""
        return {"weights": f"{self.share:g}", "2:4": "2:4", "channels": f"channels:{self.share:g}"}[self.kind]


@dataclass(frozen=True)
class Compression:
    """Everything that makes a network smaller, in the order in which it is done: prune, cluster, train quantized."""

    pruning: Pruning | None = None
    clusters: int = 0  # different values that a layer's weights may have; 0: as many as they like
    qat: bool = False  # train with the rounding of int8 in place

    def __bool__(self) -> bool:
        """Tell whether anything is asked for."""
        return bool(self.pruning or self.clusters or self.qat)

    @property
    def cuts_channels(self) -> bool:
        """Tell whether layers become narrower, which needs another architecture; all else leaves the shapes alone."""
        return self.pruning is not None and self.pruning.kind == "channels"

    @property
    def spelled(self) -> str:
        """Return the flags that ask for this; "" for nothing."""
        flags = [f"--prune {self.pruning.spelled}"] if self.pruning else []
        flags += [f"--cluster {self.clusters}"] if self.clusters else []
        return " ".join([*flags, "--qat"] if self.qat else flags)


NOTHING = Compression()


def parse_compression(prune: str = "", clusters: int | str = 0, qat: bool = False) -> Compression:
    """Return what the flags ask for; "" and 0 are nothing; raise InputError for what cannot be."""
    return Compression(parse_pruning(prune) if prune else None, _parse_clusters(clusters), qat)


def parse_pruning(text: str) -> Pruning:
    """Return the pruning that `0.5`, `2:4` or `channels:0.5` names; raise InputError for anything else."""
    if text == "2:4":
        return Pruning("2:4", PATTERN_KEPT / PATTERN_GROUP)
    name, colon, number = text.rpartition(":")
    if name not in ("", "channels") or (colon and not name):
        raise InputError(f"--prune cannot be {text!r}", allowed=PRUNE_FORMS, mend="try --prune 0.5")
    share = float(number) if re.fullmatch(r"\d?\.?\d{1,6}", number, re.ASCII) else 0.0
    if not 0 < share < 1:
        raise InputError(
            f"--prune cannot be {text!r}", allowed=f"{PRUNE_FORMS}; a share over 0 and under 1", mend="try --prune 0.5"
        )
    return Pruning("channels" if name else "weights", share)


def _parse_clusters(given: int | str) -> int:
    text = str(given)
    if text in ("", "0") and given != "0":
        return 0
    if not (text.isascii() and text.isdecimal()) or not FEWEST_CLUSTERS <= int(text) <= MOST_CLUSTERS:
        raise InputError(
            f"--cluster cannot be {text!r}",
            allowed=f"a whole number from {FEWEST_CLUSTERS} to {MOST_CLUSTERS}",
            mend="try --cluster 16",
        )
    return int(text)
