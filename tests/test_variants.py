"""The variants against published counts; the figures are those of the authors' own tests and of Keras' tables."""

import re
from dataclasses import dataclass
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgenet.counts import count
from edgenet.errors import InputError
from edgenet.layers import expand
from edgenet.published import PUBLISHED
from edgenet.variants import VARIANTS, parse_variant, round_filters, round_repeats, scaled

MIB = 2**20


@dataclass(frozen=True)
class Exact:
    variant: str
    side_px: int
    classes: int
    trainable: int
    with_statistics: int
    folded: int
    macs_m: str  # millions, as printed: two decimals
    blocks: int
    adds: int
    squeezes: int
    stem: int
    head: int
    last_side_px: int
    peak_activation: int
    int8_mib: str  # three decimals

    @property
    def id(self) -> str:
        return f"{self.variant}@{self.side_px}-{self.classes}"


EXACT = [
    Exact("b0", 224, 1000, 5288548, 5330564, 5267540, "385.81", 16, 9, 16, 32, 1280, 7, 1204224, "5.113"),
    Exact("b1", 240, 1000, 7794184, 7856232, 7763160, "686.80", 23, 16, 23, 32, 1280, 8, 1382400, "7.536"),
    Exact("b2", 260, 1000, 9109994, 9177562, 9076210, "993.56", 23, 16, 23, 32, 1408, 9, 1622400, "8.799"),
    Exact("b3", 300, 1000, 12233232, 12320528, 12189584, "1827.14", 26, 19, 26, 40, 1536, 10, 3240000, "11.810"),
    Exact("b4", 380, 1000, 19341616, 19466816, 19279016, "4393.77", 32, 25, 32, 48, 1792, 12, 5198400, "18.651"),
    Exact("b5", 456, 1000, 30389784, 30562520, 30303416, "10266.38", 39, 32, 39, 48, 2048, 15, 7485696, "29.265"),
    Exact("b6", 528, 1000, 43040704, 43265136, 42928488, "19067.59", 45, 38, 45, 56, 2304, 17, 13381632, "41.414"),
    Exact("b7", 600, 1000, 66347960, 66658680, 66192600, "37745.88", 55, 48, 55, 64, 2560, 19, 17280000, "63.783"),
    Exact("lite0", 224, 1000, 4652008, 4694024, 4631000, "385.19", 16, 9, 0, 32, 1280, 7, 1204224, "4.479"),
    Exact("lite1", 240, 1000, 5416680, 5470344, 5389848, "600.19", 21, 14, 0, 32, 1280, 8, 1382400, "5.220"),
    Exact("lite2", 260, 1000, 6092072, 6150168, 6063024, "859.74", 21, 14, 0, 32, 1280, 9, 1622400, "5.868"),
    Exact("lite3", 280, 1000, 8197096, 8273768, 8158760, "1383.32", 24, 17, 0, 32, 1280, 9, 2822400, "7.893"),
    Exact("lite4", 300, 1000, 13006568, 13118936, 12950384, "2553.03", 30, 23, 0, 32, 1280, 10, 3240000, "12.514"),
    # timm runs these two at other sides than their authors
    Exact("lite3", 300, 1000, 8197096, 8273768, 8158760, "1607.55", 24, 17, 0, 32, 1280, 10, 3240000, "7.893"),
    Exact("lite4", 380, 1000, 13006568, 13118936, 12950384, "3943.56", 30, 23, 0, 32, 1280, 12, 5198400, "12.514"),
    # the released files know a class "background", timm drops it
    Exact("edgetpu-s", 224, 1001, 5439673, 5491113, 5413953, "1788.73", 18, 12, 0, 32, 1280, 7, 1204224, "5.240"),
    Exact("edgetpu-s", 224, 1000, 5438392, 5489832, 5412672, "1788.73", 18, 12, 0, 32, 1280, 7, 1204224, "5.238"),
    Exact("edgetpu-m", 240, 1001, 6900777, 6968585, 6866873, "3013.32", 24, 17, 0, 32, 1280, 8, 1382400, "6.649"),
    Exact("edgetpu-m", 240, 1000, 6899496, 6967304, 6865592, "3013.32", 24, 17, 0, 32, 1280, 8, 1382400, "6.647"),
    Exact("edgetpu-l", 300, 1001, 10591249, 10683457, 10545145, "7936.08", 27, 20, 0, 40, 1536, 10, 2880000, "10.191"),
    Exact("edgetpu-l", 300, 1000, 10589712, 10681920, 10543608, "7936.08", 27, 20, 0, 40, 1536, 10, 2880000, "10.190"),
    Exact("v2-b0", 224, 1000, 7139704, 7200312, 7109400, "718.09", 21, 15, 16, 32, 1280, 7, 401408, "6.908"),
    Exact("v2-b1", 240, 1000, 8141052, 8212124, 8105516, "1196.82", 27, 21, 19, 32, 1280, 8, 460800, "7.880"),
    Exact("v2-b2", 260, 1000, 10096086, 10178374, 10054942, "1697.54", 28, 22, 20, 32, 1408, 9, 540800, "9.762"),
    Exact("v2-b3", 300, 1000, 14358406, 14467622, 14303798, "3011.46", 32, 26, 24, 40, 1536, 10, 900000, "13.871"),
    Exact("v2-s", 384, 1000, 21458488, 21612360, 21381552, "8365.62", 40, 35, 30, 24, 1280, 12, 1769472, "20.715"),
    Exact("v2-m", 480, 1000, 54139356, 54431388, 53993340, "24582.46", 57, 51, 44, 24, 1280, 15, 2764800, "52.107"),
    Exact("v2-l", 480, 1000, 118515272, 119027848, 118258984, "56079.70", 79, 73, 61, 32, 1280, 15, 3686400, "113.859"),
    Exact(
        "v2-xl", 512, 1000, 208119808, 208896832, 207731296, "93353.45", 100, 94, 80, 32, 1280, 16, 4194304, "199.745"
    ),
]


@pytest.mark.parametrize("row", EXACT, ids=lambda row: row.id)
def test_exact_counts(row: Exact) -> None:
    network = expand(VARIANTS[row.variant], row.classes, row.side_px)
    counts = count(network)
    assert counts.trainable == row.trainable
    assert counts.with_batch_norm_statistics == row.with_statistics
    assert counts.batch_norm_folded == row.folded
    assert f"{counts.macs / 1e6:.2f}" == row.macs_m
    assert (counts.blocks, counts.adds, counts.squeezes) == (row.blocks, row.adds, row.squeezes)
    assert (network.stem.out_channels, network.head.out_channels) == (row.stem, row.head)
    assert network.head.out_side == row.last_side_px
    assert counts.peak_activation == row.peak_activation
    assert f"{counts.int8_size_bytes / MIB:.3f}" == row.int8_mib


KERAS_TOTALS = {
    "b0": 5_330_571,
    "b1": 7_856_239,
    "b2": 9_177_569,
    "b3": 12_320_535,
    "b4": 19_466_823,
    "b5": 30_562_527,
    "b6": 43_265_143,
    "b7": 66_658_687,
}


@pytest.mark.parametrize("name", KERAS_TOTALS)
def test_keras_counts_seven_more(name: str) -> None:
    counts = count(expand(VARIANTS[name]))
    assert counts.keras_total == KERAS_TOTALS[name] == counts.with_batch_norm_statistics + 7


def test_all_24_variants_are_there_and_counted() -> None:
    families = {
        name: [row.name for row in VARIANTS.values() if row.family == name] for name in ("b", "lite", "edgetpu", "v2")
    }
    assert [len(names) for names in families.values()] == [8, 5, 3, 8]
    assert {row.variant for row in EXACT} == set(VARIANTS) == set(PUBLISHED)
    assert len(VARIANTS) == 24
    assert all(VARIANTS[row.name] is row for row in VARIANTS.values())


@pytest.mark.parametrize("name", [name for name, row in PUBLISHED.items() if row.parameters])
def test_published_figures_are_near_the_computed_ones(name: str) -> None:
    counts, published = count(expand(VARIANTS[name])), PUBLISHED[name]
    assert published.parameters == pytest.approx(counts.trainable, rel=0.025)
    assert published.multiply_adds == pytest.approx(counts.macs, rel=0.06)


#                     filters, width, 10 % rule -> result
ROUNDED_FILTERS = {
    (32, 1.0, True): 32,
    (32, 1.1, True): 32,
    (40, 1.1, True): 48,
    (24, 1.2, True): 32,
    (24, 1.2, False): 32,
    (16, 1.1, True): 16,
    (16, 1.2, True): 24,
    (80, 1.1, True): 88,
    (112, 1.4, True): 160,
    (12, 1.0, True): 16,
    (11, 1.0, True): 16,  # nearest is 8, but 8 is under 90 % of 11
    (11, 1.0, False): 8,
    (1, 1.0, True): 8,
    (4, 0.5, False): 8,
}


@pytest.mark.parametrize("arguments", ROUNDED_FILTERS, ids=str)
def test_round_filters(arguments: tuple[int, float, bool]) -> None:
    assert round_filters(*arguments) == ROUNDED_FILTERS[arguments]


@given(st.integers(1, 4096), st.floats(0.1, 4.0), st.booleans())
def test_rounded_filters_are_multiples_of_8_near_the_scaled_value(filters: int, width: float, rule: bool) -> None:
    rounded = round_filters(filters, width, rule)
    assert rounded % 8 == 0
    assert rounded >= 8
    assert abs(rounded - filters * width) <= (8 if rule or filters * width < 8 else 4)
    if rule:
        assert rounded >= 0.9 * filters * width


@pytest.mark.parametrize(
    ("repeats", "depth", "expected"), [(1, 1.0, 1), (2, 1.1, 3), (3, 1.2, 4), (4, 3.1, 13), (1, 3.1, 4), (3, 1.0, 3)]
)
def test_round_repeats_rounds_up(repeats: int, depth: float, expected: int) -> None:
    assert round_repeats(repeats, depth) == expected


ALIASES = {
    "b0": "b0",
    "B7": "b7",
    " lite0 ": "lite0",
    "efficientnet_b0": "b0",
    "EfficientNetB0": "b0",
    "efficientnet-b4": "b4",
    "tf_efficientnet_b5": "b5",
    "tf_efficientnet_lite0": "lite0",
    "efficientnet-lite4": "lite4",
    "EfficientNetLite3": "lite3",
    "efficientnet_es": "edgetpu-s",
    "tf_efficientnet_el": "edgetpu-l",
    "efficientnet-edgetpu-M": "edgetpu-m",
    "efficientnet_edgetpu_s": "edgetpu-s",
    "efficientnetv2_s": "v2-s",
    "EfficientNetV2S": "v2-s",
    "EfficientNetV2B0": "v2-b0",
    "tf_efficientnetv2_b3": "v2-b3",
    "efficientnetv2-xl": "v2-xl",
    "v2_m": "v2-m",
}


@pytest.mark.parametrize("text", ALIASES)
def test_long_names(text: str) -> None:
    assert parse_variant(text) is VARIANTS[ALIASES[text]]


#             text -> what the error must suggest
WRONG_NAMES = {
    "b9": "edgenet list",
    "lite5": "did you mean lite",
    "lit0": "did you mean lite0?",
    "edgetpu-x": "did you mean edgetpu-",
    "v2-sl": "did you mean v2-",
    "resnet50": "edgenet list",
    "": "edgenet list",
}


@pytest.mark.parametrize("text", WRONG_NAMES)
def test_unknown_names_are_refused_with_a_mend(text: str) -> None:
    with pytest.raises(InputError, match=f"unknown variant {re.escape(repr(text))}.*{re.escape(WRONG_NAMES[text])}"):
        parse_variant(text)


@given(st.text(max_size=30))
def test_any_text_is_a_variant_or_an_input_error(text: str) -> None:
    try:
        variant = parse_variant(text)
    except InputError as error:
        assert repr(text) in str(error)
    else:
        assert variant.side_px >= 32


def test_scaled_0_is_b0() -> None:
    zero, b0 = parse_variant("scaled:0"), VARIANTS["b0"]
    assert expand(zero).layers == expand(b0).layers
    assert count(expand(zero)) == count(expand(b0))
    assert (zero.side_px, zero.dropout, zero.rules) == (b0.side_px, b0.dropout, b0.rules)


def test_scaled_follows_the_paper() -> None:
    one = parse_variant("SCALED:1")
    assert (one.width, one.depth, one.side_px, one.name) == (1.1, 1.2, 256, "scaled-1")
    assert scaled(2, alpha=1.3, beta=1.0, gamma=1.0).depth == pytest.approx(1.69)


def test_doubling_phi_steps_doubles_the_work() -> None:
    # alpha * beta^2 * gamma^2 is about 2: each phi doubles the multiply-accumulates, within what rounding allows
    macs = [count(expand(scaled(float(phi)))).macs for phi in range(5)]
    assert all(1.6 < after / before < 2.6 for before, after in pairwise(macs))


@pytest.mark.parametrize("text", ["scaled:", "scaled:x", "scaled:-1", "scaled:11", "scaled:nan", "scaled:inf"])
def test_wrong_phi_is_refused(text: str) -> None:
    with pytest.raises(InputError, match=f"cannot scale by '{text}'; allowed: .*; try scaled:0.5"):
        parse_variant(text)
