"""The one spelling of what makes a network smaller."""

from dataclasses import dataclass

import pytest

from edgenet.compression import Compression, Pruning, parse_compression
from edgenet.errors import InputError

HALF = Pruning("weights", 0.5)


@dataclass(frozen=True)
class Case:
    """Flags, what they mean, and how they are spelled again."""

    prune: str
    clusters: int | str
    qat: bool
    meant: Compression
    spelled: str


CASES = (
    Case("", 0, False, Compression(), ""),
    Case("", "", False, Compression(), ""),
    Case("0.5", 0, False, Compression(HALF), "--prune 0.5"),
    Case(".5", 0, False, Compression(HALF), "--prune 0.5"),
    Case("2:4", 0, False, Compression(Pruning("2:4", 0.5)), "--prune 2:4"),
    Case("channels:0.5", 0, False, Compression(Pruning("channels", 0.5)), "--prune channels:0.5"),
    Case("", "16", False, Compression(clusters=16), "--cluster 16"),
    Case("0.875", 32, True, Compression(Pruning("weights", 0.875), 32, True), "--prune 0.875 --cluster 32 --qat"),
    Case("", 0, True, Compression(qat=True), "--qat"),
)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.spelled or "nothing")
def test_flags_are_understood_and_spelled_again(case: Case) -> None:
    compression = parse_compression(case.prune, case.clusters, case.qat)
    assert compression == case.meant
    assert compression.spelled == case.spelled
    assert bool(compression) == bool(case.spelled)


WRONG_PRUNING = (
    *("0", "1", "1.5", "-0.5", "nan", "inf", "half", "50%", "1e-1", "0.5 ", "1:4", "4:2", "2:4:", ":0.5"),
    *("channels", "channels:", "channels:1", "filters:0.5", "\u0660.\u0665"),
)


@pytest.mark.parametrize("text", WRONG_PRUNING)
def test_what_prune_cannot_be(text: str) -> None:
    with pytest.raises(InputError, match=r"try --prune 0\.5"):
        parse_compression(text)


@pytest.mark.parametrize("text", ["0", "1", "2", "-4", "129", "16.0", "many", "\u0663\u0662", 1, 1000])
def test_what_cluster_cannot_be(text: int | str) -> None:
    with pytest.raises(InputError, match="try --cluster 16"):
        parse_compression("", text)


def test_channels_alone_change_shapes() -> None:
    assert [parse_compression(text).cuts_channels for text in ("channels:0.3", "0.3", "2:4", "")] == [
        True, False, False, False,
    ]  # fmt: skip
