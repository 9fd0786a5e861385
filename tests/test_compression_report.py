"""The report of what compression brought: packed sizes, a measured ratio with its interval, and what may be said."""

from dataclasses import dataclass, replace

import numpy as np
import pytest

from benchmarks.compression import Speed, sizes, speed
from benchmarks.peers.sparse_inference import densified
from converters import flatbuffer
from converters.compress.sparse_inference import sparse_refusals
from converters.compress.weights import compress, shows_compression
from converters.entry import FLOAT_ENTRY
from converters.float_file import build_float
from converters.quantize import quantize_model
from converters.runtime import Runner
from edgenet.channel_pruning import prune_channels
from edgenet.compression import parse_compression
from edgenet.moments import input_moments
from edgenet.weights.record import Weights
from tests.networks import SIDE_PX, pictures, small_weights

WEIGHTS = small_weights("lite")


def float_file(weights: Weights, prune: str = "", clusters: int = 0) -> bytes:
    architecture = weights.architecture()
    content = flatbuffer.write(build_float(architecture, weights, FLOAT_ENTRY))
    compression = parse_compression(prune, clusters)
    return compress(content, compression, input_moments(architecture, weights)) if compression else content


DENSE, PRUNED, CLUSTERED = float_file(WEIGHTS), float_file(WEIGHTS, "0.75"), float_file(WEIGHTS, clusters=16)


def test_zeros_and_clusters_show_in_packed_sizes_alone() -> None:
    dense, pruned, clustered = map(sizes, (DENSE, PRUNED, CLUSTERED))
    assert dense.size_bytes == pruned.size_bytes == clustered.size_bytes == len(DENSE)
    for small in (pruned, clustered):
        assert small.gzip_bytes < 0.5 * dense.gzip_bytes
        assert small.zstd_bytes < 0.5 * dense.zstd_bytes


def test_a_network_that_lost_channels_is_measured_faster() -> None:
    weights = small_weights("lite")
    weights = replace(weights, preprocessing=replace(weights.preprocessing, side_px=128))
    full, cut = float_file(weights), float_file(prune_channels(weights, 0.7))
    found = speed(cut, full, pictures(1, 128)[0])
    assert found.low <= found.ratio <= found.high
    assert found.ratio < 0.8


@dataclass(frozen=True)
class Case:
    low: float
    ratio: float
    high: float
    verdict: str


CASES = (
    Case(0.4, 0.5, 0.6, "2.00 times as fast"),
    Case(0.90, 0.95, 0.96, "1.05 times as fast"),
    Case(0.90, 0.95, 0.98, "no speed-up on this runtime"),
    Case(0.97, 1.00, 1.02, "no speed-up on this runtime"),
    Case(0.99, 1.10, 1.30, "no speed-up on this runtime"),
    Case(1.04, 1.10, 1.30, "slower"),
)


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.low}-{case.high}")
def test_only_what_the_whole_interval_shows_is_said(case: Case) -> None:
    assert Speed(case.ratio, case.low, case.high, 1.0, 1.0, 8).verdict == case.verdict


def test_a_file_shows_by_itself_that_it_was_compressed() -> None:
    assert [shows_compression(content) for content in (DENSE, PRUNED, CLUSTERED)] == [False, True, True]


ARM, X86 = frozenset({"asimd", "fp"}), frozenset({"sse2", "avx", "avx2"})
PADDING = "10 layers with larger windows pad as SAME"


@pytest.mark.parametrize(
    ("content", "processor", "wanted"),
    [
        (PRUNED, X86, ("x86 with AVX", PADDING, "stored dense")),
        (PRUNED, ARM, (PADDING, "stored dense")),
        (DENSE, ARM, ("0.0 % of the 1x1 weights are zero, over 66.7 %", PADDING, "stored dense")),
        (densified(PRUNED), ARM, (PADDING,)),
        (flatbuffer.write(quantize_model(PRUNED, "w8d")), ARM, ("float32 alone",)),
    ],
    ids=["avx", "arm", "dense", "stored sparse", "w8d"],
)  # fmt: skip
def test_every_reason_against_sparse_inference_is_named(
    content: bytes, processor: frozenset[str], wanted: tuple[str, ...]
) -> None:
    found = sparse_refusals(content, processor)
    assert len(found) == len(wanted), found
    assert all(part in reason for part, reason in zip(wanted, found, strict=True)), found


def test_a_sparse_file_answers_as_the_dense_one() -> None:
    sparse = densified(PRUNED)
    assert len(sparse) < 0.6 * len(PRUNED)
    for pixels in pictures(2, SIDE_PX):
        assert np.array_equal(Runner(sparse).logits(pixels), Runner(PRUNED).logits(pixels))
