"""Variants that hold their coefficients in their name, and coefficients in a file."""

from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgenet.coefficients import Coefficients, pack_coefficients, paper, read_coefficients
from edgenet.errors import InputError
from edgenet.named_variant import named_variant
from edgenet.variants import VARIANTS, parse_variant, scaled

FOUND = Coefficients(base="lite0", alpha=1.3, beta=1.05, gamma=1.1)
FACTORS = st.floats(1, 1.3)


@dataclass(frozen=True)
class Named:
    text: str
    name: str


NAMES = (
    Named("scaled:1", "scaled-1"),
    Named("scaled:1-b0", "scaled-1"),
    Named("Scaled-0.5-LITE0", "scaled-0.5-lite0"),
    Named("scaled:2-a1.2-b1.1-g1.15", "scaled-2"),
    Named("scaled:2-a1.3-b1-g1.2", "scaled-2-a1.3-b1-g1.2"),
    Named("scaled:1-lite0-a1.3-b1.05-g1.1", "scaled-1-lite0-a1.3-b1.05-g1.1"),
)


@pytest.mark.parametrize("case", NAMES, ids=lambda case: case.text)
def test_a_name_is_short_where_it_can_be(case: Named) -> None:
    assert parse_variant(case.text).name == case.name


@given(st.floats(0, 4), FACTORS, FACTORS, FACTORS, st.sampled_from(["b0", "lite0"]))
def test_a_name_makes_the_same_variant_again(phi: float, alpha: float, beta: float, gamma: float, base: str) -> None:
    variant = scaled(phi, alpha, beta, gamma, "lite0" if base == "lite0" else "b0")
    assert parse_variant(variant.name) == variant
    assert variant.name == Path(variant.name).name


def test_lite_keeps_its_rules() -> None:
    variant = parse_variant("scaled:4-lite0")
    assert (variant.family, variant.stages) == ("lite", VARIANTS["lite0"].stages)
    assert (variant.dropout, parse_variant("scaled:4").dropout) == (0.3, 0.4)


def test_coefficients_come_back_from_their_file(tmp_path: Path) -> None:
    content = pack_coefficients(FOUND, "found here")
    (tmp_path / "scaling.toml").write_bytes(content)
    assert content.startswith(b"# found here\n")
    for place in (tmp_path, tmp_path / "scaling.toml"):
        assert read_coefficients(place) == FOUND
        assert named_variant(f"scaled:1.5@{place}") == parse_variant("scaled:1.5-lite0-a1.3-b1.05-g1.1")
    assert named_variant("lite0") == VARIANTS["lite0"]


@dataclass(frozen=True)
class Wrong:
    text: str
    says: str


WRONG = (
    Wrong("scaled:1@no.toml", "cannot read the coefficients no.toml: No such file"),
    Wrong("scaled:1@", "cannot scale by 'scaled:1@'; allowed: scaled:PHI@FILE"),
    Wrong("scaled:x@bad.toml", "cannot scale by 'scaled:x@bad.toml'"),
    Wrong("scaled:11@bad.toml", "allowed: scaled:PHI with PHI from 0 to 10"),
    Wrong("scaled:1@bad.toml", "bad.toml: alpha: Input should be less than or equal to 2"),
    Wrong("b0@bad.toml", "unknown variant 'b0@bad.toml'"),
    Wrong("scaled:1-a3-b1-g1", "allowed: factors from 1 to 2"),
    Wrong("scaled:1-a1.1.1-b1-g1", "cannot scale by"),
    Wrong("scaled:10-a1-b1-g1.5", "make a side of 12920 px; allowed: 4096 px at most"),
)


@pytest.mark.parametrize("wrong", WRONG, ids=lambda wrong: wrong.text)
def test_what_cannot_be_scaled_is_refused(wrong: Wrong, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("bad.toml").write_text('base = "b0"\nalpha = 3.0\nbeta = 1.0\ngamma = 1.0\n')
    with pytest.raises(InputError) as caught:
        named_variant(wrong.text)
    assert wrong.says in str(caught.value)


def test_a_record_never_reads_a_file_that_its_variant_names(tmp_path: Path) -> None:
    (tmp_path / "scaling.toml").write_bytes(pack_coefficients(FOUND, ""))
    with pytest.raises(InputError, match="cannot scale by"):
        parse_variant(f"scaled:1@{tmp_path}")


def test_the_papers_coefficients_are_the_default() -> None:
    assert paper("b0").variant(1) == parse_variant("scaled:1") == scaled(1)
    assert paper("b0").product == pytest.approx(1.92, abs=0.001)
