"""Conversions that make a network smaller: what the files hold, what they are held against, and that they repeat."""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest

from converters import conversion
from converters.compress.weights import LayerFacts, cluster, layer_facts, prune
from converters.diagnosis import diagnose
from converters.golden_check import check_golden
from converters.verification import verify
from edgenet.artifact import Artifact, read_golden
from edgenet.compression import Pruning, parse_compression
from edgenet.counts import count
from edgenet.errors import InputError
from edgenet.precision import Precision, default_io
from edgenet.progress import silent
from edgenet.variants import VARIANTS
from edgenet.weights.random import random_weights
from tests.networks import small_variant

SAMPLES, SIDE_PX = 16, 64


@pytest.fixture(autouse=True)
def _small_lite0(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, family in (("lite0", "lite"), ("b0", "b"), ("edgetpu-s", "edgetpu")):
        variant = small_variant(family)
        monkeypatch.setitem(VARIANTS, name, replace(variant, stages=variant.stages[:4]))


def convert(
    out: Path, flags: str, precisions: str = "fp32", variant: str = "lite0", *, verified: bool = False
) -> list[Artifact]:
    """Convert a small variant with seeded weights and `--prune P --cluster N` as the flags say."""
    words = dict(zip(flags.split()[::2], flags.split()[1::2], strict=True))
    compression = parse_compression(words.get("--prune", ""), words.get("--cluster", ""))
    names: list[Precision] = [name for name in ("fp32", "fp16", "w8", "w8d", "w8a8") if name in precisions.split(",")]
    request = conversion.Request(
        VARIANTS[variant], tuple((name, default_io(name)) for name in names), "random", "builtin", SAMPLES,
        num_classes=10, compression=compression,
    )  # fmt: skip
    return conversion.run(request, out, verified, (), silent, lambda text: None)


@dataclass(frozen=True)
class Case:
    """Flags, and what each layer that is compressed has to be like in every precision."""

    flags: str
    stem: str
    zero_share: float = 0.0
    most_values: int = 10**9


CASES = (
    Case("--prune 0.5", "pruned", zero_share=0.5),
    Case("--prune 0.875", "pruned", zero_share=0.875),
    Case("--prune 2:4", "pruned", zero_share=0.5),
    Case("--cluster 16", "clustered", most_values=16),
    Case("--prune 0.5 --cluster 8", "pruned-clustered", zero_share=0.5, most_values=8),
)


BOTH, REST = CASES[-1], CASES[:-1]


@pytest.mark.parametrize(
    "case", [BOTH, *(pytest.param(case, marks=pytest.mark.slow) for case in REST)], ids=lambda case: case.flags
)
def test_every_precision_holds_what_was_asked_for(case: Case, tmp_path: Path) -> None:
    artifacts = convert(tmp_path, case.flags, "fp32,fp16,w8a8")
    for artifact in artifacts:
        precision = artifact.manifest.precision
        assert artifact.path.name == f"lite0-{precision}-{case.stem}-random.tflite"
        facts = layer_facts(artifact.path.read_bytes())
        for row in facts:
            if row.is_compressed:
                # Rounding to 8 bits makes more weights zero and never fewer; channels have scales of their own there.
                assert row.zero_share >= case.zero_share - 1 / 16
                assert row.values <= case.most_values or precision == "w8a8"
            else:
                assert row.zero_share < 0.2  # those that the rounding makes
        assert [row.is_compressed for row in facts[:3]] == [False, False, True]  # stem, depthwise, 1x1
        assert _recorded(artifact) == [(row.name, row.weights, round(row.zero_share, 4), row.values) for row in facts]


def _recorded(artifact: Artifact) -> list[tuple[str, int, float, int]]:
    record = artifact.manifest.compression
    assert record is not None
    return [(row.name, row.weights, row.zero_share, row.values) for row in record.layers]


def test_clusters_stay_clusters_in_each_channel_of_an_int8_file(tmp_path: Path) -> None:
    # edgetpu has 3x3 layers, whose kernel sums the rounding would keep by moving single weights.
    [artifact] = convert(tmp_path, "--prune 0.5 --cluster 8", "w8a8", "edgetpu-s")
    content = artifact.path.read_bytes()
    from converters import flatbuffer
    from converters.compress.weights import _layers

    rows = [row for row in _layers(flatbuffer.read(content)) if row.is_compressed]
    assert len(rows) > 5
    for row in rows:
        assert max(len(np.unique(channel)) for channel in row.values) <= 8


@pytest.mark.parametrize("flags", ["--prune 0.5", "--prune channels:0.3 --cluster 8"])
def test_files_are_held_against_the_uncompressed_network(flags: str, tmp_path: Path) -> None:
    [full] = convert(tmp_path / "full", "")
    [small] = convert(tmp_path / "small", flags, verified=True)
    full_logits, golden = read_golden(full).logits, read_golden(small)
    assert np.array_equal(golden.float_logits, full_logits)
    assert not np.array_equal(golden.logits, full_logits)
    assert small.manifest.verification is not None and small.manifest.verification.sqnr_db is not None
    again = verify(small.path, None, None, None, "", silent, lambda text: None).rows[0]  # from the weights, anew
    assert again.golden.passed
    assert again.sqnr_db == pytest.approx(small.manifest.verification.sqnr_db, abs=0.01)


REPEATED = ("--prune channels:0.3 --cluster 8",)


@pytest.mark.parametrize("flags", [*REPEATED, *(pytest.param(case.flags, marks=pytest.mark.slow) for case in CASES)])
def test_a_repeat_by_manifest_gives_the_same_bytes(flags: str, tmp_path: Path) -> None:
    for artifact in convert(tmp_path / "first", flags, "fp32,w8a8"):
        manifest = artifact.path.with_suffix(".manifest.json")
        request = conversion.request_of_manifest(manifest, "", "")
        [again] = conversion.run(request, tmp_path / "again", False, (), silent, lambda text: None)
        assert again.path.name == artifact.path.name
        assert again.path.read_bytes() == artifact.path.read_bytes()
        assert again.manifest.compression == artifact.manifest.compression


def test_channels_that_go_leave_a_smaller_file_that_says_so(tmp_path: Path) -> None:
    [full], [small] = convert(tmp_path, ""), convert(tmp_path, "--prune channels:0.5")
    assert small.path.name == "lite0-fp32-shrunk-random.tflite"
    record, widths = small.manifest.compression, small.manifest.weights.widths
    assert record is not None and 0.4 < record.macs_share <= 0.5
    shapes = {row.name: row.weights for row in layer_facts(small.path.read_bytes())}
    for row in layer_facts(full.path.read_bytes()):
        assert (shapes[row.name] < row.weights) == _is_touched(row, widths)
    assert small.manifest.size_bytes < full.manifest.size_bytes


def _is_touched(row: LayerFacts, widths: dict[str, int]) -> bool:
    block = row.name.rpartition(".")[0]
    own = {"classifier": "conv_head", "blocks.0.0.conv_dw": "conv_stem", "blocks.0.0.conv_pw": "conv_stem"}
    return row.name in widths or own.get(row.name) in widths or f"{block}.conv_pw" in widths


def test_a_diagnosis_is_of_the_rounding_alone(tmp_path: Path) -> None:
    [artifact] = convert(tmp_path, "--prune channels:0.4 --cluster 16", "w8a8", verified=True)
    found = diagnose(artifact.path, None, None, "", silent, lambda text: None)
    assert artifact.manifest.verification is not None and artifact.manifest.verification.sqnr_db is not None
    assert found.agreement.sqnr_db > artifact.manifest.verification.sqnr_db + 10


def test_onnx_files_hold_the_same(tmp_path: Path) -> None:
    from converters.onnx_file.options import chosen_files

    request = conversion.Request(
        VARIANTS["lite0"], (("fp32", "float32"),), "random", "builtin", SAMPLES, num_classes=10,
        files=chosen_files("onnx", None, "", False, ["fp32"]), compression=parse_compression("channels:0.5", 16),
    )  # fmt: skip
    [artifact] = conversion.run(request, tmp_path, False, (), silent, lambda text: None)
    assert artifact.path.name == "lite0-fp32-shrunk-clustered-random.onnx"
    assert check_golden(artifact.path.read_bytes(), read_golden(artifact)).passed


def test_what_is_refused(tmp_path: Path) -> None:
    from converters.repair.gate import parse_gate

    base = conversion.Request(VARIANTS["lite0"], (("w8a8", "uint8"),), "random", "builtin", SAMPLES)
    repaired = replace(base, repair=parse_gate("cpu", 0.98, 1.15), compression=parse_compression("0.5"))
    trained = replace(base, compression=parse_compression(qat=True))
    for request, message in ((repaired, "drop --repair"), (trained, "edgenet train --qat")):
        with pytest.raises(InputError, match=message):
            conversion.run(request, tmp_path / "out", True, (), silent, lambda text: None)
    assert not (tmp_path / "out").exists()


def test_pruning_takes_what_counts_least() -> None:
    values = np.asarray([[0.1, -3.0, 2.0, 0.5, 1.0, 1.0], [4.0, 0.2, 0.1, 0.3, -9.0, 0.0]], dtype=np.float32)
    even, uneven = np.ones(6), np.asarray([100.0, 0.01, 1, 1, 1, 1])
    assert prune(values, Pruning("weights", 0.5), even).tolist() == [
        [0.0, -3.0, 2.0, 0.0, 0.0, 1.0], [4.0, 0.0, 0.0, pytest.approx(0.3), -9.0, 0.0],
    ]  # fmt: skip
    assert prune(values, Pruning("weights", 0.5), uneven)[0].tolist() == [pytest.approx(0.1), 0.0, 2.0, 0.0, 0.0, 1.0]
    assert prune(values, Pruning("2:4", 0.5), even).tolist() == [
        [0.0, -3.0, 2.0, 0.0, 1.0, 1.0], [4.0, 0.0, 0.0, pytest.approx(0.3), -9.0, 0.0],
    ]  # fmt: skip


def test_clustering_finds_clusters_and_leaves_zeros() -> None:
    random = np.random.default_rng(0)
    centres = np.asarray([-1.0, -0.25, 0.5, 2.0], dtype=np.float32)
    values = random.choice(centres, 4000) + random.normal(0, 0.01, 4000).astype(np.float32)
    values[:1000] = 0
    found = np.unique(cluster(values.reshape(40, 100), 5))
    assert found == pytest.approx(np.sort([*centres, 0.0]), abs=0.005)
    assert (cluster(values, 5)[:1000] == 0).all()
    assert np.array_equal(cluster(centres, 16), centres)


def test_a_full_width_run_of_the_budget_is_what_the_manifest_says(tmp_path: Path) -> None:
    [artifact] = convert(tmp_path, "--prune channels:0.4")
    full = random_weights(VARIANTS["lite0"], 0, 10)
    narrow = random_weights(VARIANTS["lite0"], 0, 10, artifact.manifest.weights.widths)
    record = artifact.manifest.compression
    assert record is not None
    assert record.macs_share == count(narrow.architecture()).macs / count(full.architecture()).macs
