"""Estimates for devices that nobody measured: how far off they are, what they refuse, and what is recommended."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks import board_estimate
from benchmarks.board_estimate import board_rates, graph_work, network_work, variant_work
from benchmarks.device_rates import device_rates
from benchmarks.published_boards import BOARDS, NETWORKS, Board
from benchmarks.published_detectors import Detector, detector
from benchmarks.published_networks import variant_graph
from benchmarks.recommend import estimates, recommend
from benchmarks.sweep_report.choice import Bounds
from devices.profiles import profiles
from edgenet.errors import MissingError
from edgenet.layers import expand
from edgenet.published import PUBLISHED
from edgenet.variants import VARIANTS, parse_variant
from tests.verbs import Run, verb

MEDIAN_BAR = {"float": 0.10, "int8": 0.35}
CPU_PROFILES = ("raspberry-pi-3-b-plus", "raspberry-pi-4", "raspberry-pi-5", "raspberry-pi-zero-2-w")


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Run:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    return verb("recommend", capsys)


# EfficientDet's authors count these (google/automl); a drawing has neither squeeze-and-excite nor weighted fusion.
@pytest.mark.parametrize(
    ("row", "billions"), [(Detector("b0", 512, 64, 3, 3), 2.54), (Detector("b1", 640, 88, 4, 3), 6.10)]
)
def test_a_drawn_detector_has_the_arithmetic_that_its_authors_count(row: Detector, billions: float) -> None:
    assert graph_work(detector(row)).macs / 1e9 == pytest.approx(billions, rel=0.03)


@pytest.mark.parametrize("name", ["lite0", "lite3", "edgetpu-s", "edgetpu-s:released"])
def test_a_variant_asks_for_what_its_graph_does(name: str) -> None:
    variant = parse_variant(name)
    drawn, spelled = graph_work(variant_graph(variant)), variant_work(expand(variant, num_classes=1001))
    assert spelled.macs == pytest.approx(drawn.macs, rel=0.001)
    assert spelled.values == pytest.approx(drawn.values, rel=0.01)


def test_swish_and_squeeze_and_excite_cost_memory() -> None:
    b0, lite0 = (variant_work(expand(parse_variant(name))) for name in ("b0", "lite0"))
    assert b0.macs == pytest.approx(lite0.macs, rel=0.01)
    assert b0.values > 2.5 * lite0.values


@pytest.mark.parametrize("board", BOARDS, ids=lambda board: board.profile)
def test_the_error_on_left_out_networks(board: Board) -> None:
    for arithmetic, published in (("float", board.float_s), ("int8", board.int8_s)):
        rates = board_rates(board.profile)[arithmetic]
        assert set(rates.errors) == set(published)
        assert rates.median_error <= MEDIAN_BAR[arithmetic], arithmetic
        assert rates.median_error <= rates.largest_error


def test_no_rate_is_above_what_the_processor_can_do() -> None:
    for board in BOARDS:
        for arithmetic, peak in zip(("float", "int8"), board.peak_macs_per_cycle, strict=True):
            if peak:
                rates = board_rates(board.profile)[arithmetic]
                assert 1 / rates.mac_s <= 1.0001 * peak * board.cores * board.frequency_hz


def test_a_fit_is_what_it_was_fitted_on() -> None:
    pi4 = next(board for board in BOARDS if board.profile == "raspberry-pi-4")
    rates = board_rates("raspberry-pi-4")["float"]
    off = [abs(rates.latency_s(network_work(name)) / seconds - 1) for name, seconds in pi4.float_s.items()]
    assert sorted(off)[len(off) // 2] <= rates.median_error


def test_the_script_prints_every_network(capsys: pytest.CaptureFixture[str]) -> None:
    board_estimate.main()
    printed = capsys.readouterr().out
    assert all(f"{board.profile}, {name}: " in printed for board in BOARDS for name in ("float", "int8"))
    assert all(f" {name} " in printed for name in NETWORKS)


@pytest.mark.parametrize("profile", profiles())
def test_each_profile_is_estimated_or_refused_with_what_is_missing(profile: str) -> None:
    if profile in CPU_PROFILES or profile.startswith("coral"):
        assert estimates(device_rates(profile))
        return
    with pytest.raises(MissingError, match=r"does not say .*max_frequency_hz|several kinds of cores") as refused:
        device_rates(profile)
    assert "measure instead" in str(refused.value)


def test_a_device_of_a_published_processor_is_scaled_and_says_so() -> None:
    zero, three = device_rates("raspberry-pi-zero-2-w"), device_rates("raspberry-pi-3-b-plus")
    assert (zero.published, three.published) == (False, True)
    assert zero.basis.startswith("no published row for this device: raspberry-pi-3-b-plus has the same Cortex-A53")
    lite0 = VARIANTS["lite0"]
    ratio = zero.latencies(lite0)["w8a8"].latency_s / three.latencies(lite0)["w8a8"].latency_s
    assert ratio == pytest.approx(1.4)  # GHz


def test_only_precisions_with_published_figures_are_estimated() -> None:
    assert set(device_rates("raspberry-pi-4").latencies(VARIANTS["b0"])) == {"fp32", "fp16", "w8a8"}
    coral = device_rates("coral-dev-board")
    assert set(coral.latencies(VARIANTS["lite0"])) == {"w8a8"}
    assert coral.latencies(VARIANTS["b0"]) == {}


def test_accuracy_is_the_published_one_of_the_precision_or_says_that_it_is_not() -> None:
    rows = {row.name: row for row in estimates(device_rates("raspberry-pi-4"))}
    told = {name: (row.accuracy.value, row.float_top1) for name, row in rows.items() if row.accuracy}
    assert told["lite0 fp32"] == (PUBLISHED["lite0"].top1_percent / 100, False)
    assert told["lite0 w8a8"] == (74.4 / 100, False)
    assert told["b0 w8a8"] == (PUBLISHED["b0"].top1_percent / 100, True)


def test_everything_recommended_meets_the_bounds_the_best_first() -> None:
    bounds = Bounds(max_s=0.1, min_accuracy=0.75, max_bytes=12_000_000)
    found = recommend(device_rates("raspberry-pi-4"), bounds)
    assert found.meets
    assert found.meets[:2] == [found.choice.pick, found.choice.runner_up]
    top1 = [row.accuracy.value for row in found.meets if row.accuracy]
    assert top1 == sorted(top1, reverse=True)
    for row in found.meets:
        assert row.latency and row.latency.value <= 0.1
        assert row.size_bytes and row.size_bytes <= 12_000_000


def test_what_a_person_sees(run: Run) -> None:
    found = run("--device", "raspberry-pi-4", "--max-ms", "30")
    assert found.code == 0
    lines = found.out.splitlines()
    assert lines[0] == "Raspberry Pi 4 Model B, 4 × Cortex-A72, all of them: at most 30 ms"
    assert lines[1].startswith("latencies are ESTIMATED, measured by nobody")
    assert (
        "error of the method, int8: 9 % in the median, 40 % at most, each of 7 published networks left out once"
        in lines
    )
    assert "pick: lite0 w8a8: published top-1 74.4 %, estimated 26.7 ms, computed 4.7 MB" in lines
    assert found.err.splitlines()[-1] == (
        "next: edgenet convert --variant lite0 --precision w8a8 && "
        "edgenet benchmark lite0-w8a8.tflite --device ssh://USER@HOST"
    )


def test_the_document_mixes_no_provenance(run: Run) -> None:
    document = run("--device", "raspberry-pi-5", "--max-ms", "30", "--min-top1", "76", "--json").document
    assert (document["schema_version"], document["provenance"], document["profile"]) == (
        1,
        "estimated",
        "raspberry-pi-5",
    )
    assert document["published_for_this_device"] is True
    for row in document["meets"]:
        figures = {name for name in row if "latency" in name or "top1" in name or "size" in name}
        assert all(name.startswith(("estimated_", "published_", "computed_")) for name in figures)
    assert document["pick"] == document["meets"][0]


def test_a_name_of_the_inventory_stands_for_its_profile(run: Run, tmp_path: Path) -> None:
    table = '[devices.{}]\naddress = "ssh://pi@host"\n{}\n'
    with_profile = table.format("kitchen", 'profile = "raspberry-pi-4"')
    (tmp_path / "devices.toml").write_text(with_profile + table.format("attic", ""), encoding="utf-8")
    found = run("--device", "kitchen", "--max-ms", "30")
    assert found.code == 0
    assert found.err.splitlines()[-1].endswith("--device kitchen")
    bare = run("--device", "attic", "--max-ms", "30")
    assert (bare.code, bare.err.partition(";")[0]) == (3, "error: attic has no profile, so that nothing is known of it")
    assert 'say profile = "..." in ' in bare.err


def test_no_variant_is_fast_enough(run: Run) -> None:
    found = run("--device", "raspberry-pi-4", "--max-ms", "1")
    assert found.code == 1
    assert "none; the nearest is: lite0 w8a8: published top-1 74.4 %" in found.out
    assert "at most 1 ms is missed by" in found.out
    assert found.err.splitlines()[-1].startswith("error: by estimate no variant meets the bounds; ")


@pytest.mark.parametrize(
    ("device", "code", "message"),
    [
        ("local", 2, "nothing is published of 'local'; allowed: a name with a profile; measure instead"),
        ("ssh://pi@host", 2, "nothing is published of 'ssh://pi@host'"),
        ("raspbery-pi-4", 2, "unknown device 'raspbery-pi-4'; allowed: coral-dev-board, "),
        (
            "jetson-nano",
            3,
            "nothing can be estimated for jetson-nano: its profile does not say processor, cores, max_f",
        ),
        ("pixel-6", 3, "nothing can be estimated for pixel-6: it has several kinds of cores"),
    ],
)
def test_devices_that_are_refused(device: str, code: int, message: str, run: Run) -> None:
    found = run("--device", device, "--max-ms", "30")
    assert (found.code, found.out) == (code, "")
    assert found.err.startswith(f"error: {message}")
