"""Published latencies on the CPUs of boards: what estimates for boards without a measurement are fitted on.

Sources: XNNPACK's README (February 2022, all cores; int8 per channel) for MobileNets, and NobuoTsukamoto/benchmarks,
tensorflow/lite/efficentdet/results, efficientdet_latency_v2.18.0 (benchmark_model of TFLite 2.18.0 with XNNPACK, 50
runs, 4 threads) for detectors whose backbones are EfficientNet-Lite. No such figure of an EfficientNet classifier on
these boards was found that says how it was measured. Processors: Raspberry Pi documentation, Processors. Peaks: Arm,
Cortex-A72 and Cortex-A76 Software Optimization Guides (FMLA and SMLAL on 128 bits once a cycle; FMLA and SDOT twice).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from benchmarks.published_detectors import DETECTORS, detector
from benchmarks.published_networks import mobilenet_v1, mobilenet_v2
from converters.check.graph import Graph

NETWORKS: dict[str, Callable[[], Graph]] = {
    "MobileNet v1": mobilenet_v1,
    "MobileNet v2": mobilenet_v2,
    **{name: partial(detector, row) for name, row in DETECTORS.items()},
}


@dataclass(frozen=True)
class Board:
    """A board by its profile, with latencies in seconds on all its cores, network by network."""

    profile: str
    processor: str
    cores: int
    frequency_hz: int
    float_s: dict[str, float]
    int8_s: dict[str, float]
    peak_macs_per_cycle: tuple[int, int] = (0, 0)  # of one core: float, int8
    like: str = ""  # the board whose rates are its own but for a factor: it has too few figures for more


def _ms(names: tuple[str, ...], figures: tuple[float, ...]) -> dict[str, float]:
    return {name: figure / 1000 for name, figure in zip(names, figures, strict=True)}


MOBILENETS, LITE = ("MobileNet v1", "MobileNet v2"), tuple(DETECTORS)
BOARDS = (
    Board("raspberry-pi-3-b-plus", "Cortex-A53", 4, 1_400_000_000,
          _ms(MOBILENETS, (114, 79)), _ms(MOBILENETS, (46, 30)), like="raspberry-pi-4"),
    Board("raspberry-pi-4", "Cortex-A72", 4, 1_500_000_000,
          _ms(MOBILENETS + LITE, (77, 46, 175.8, 330.9, 533.5, 1128.6, 2834)),
          _ms(MOBILENETS + LITE, (24, 17, 78.0, 138.3, 214.2, 399.5, 953)), (4, 8)),
    Board("raspberry-pi-5", "Cortex-A76", 4, 2_400_000_000,
          _ms(LITE, (62.2, 114.6, 180.6, 350.5, 780)), _ms(LITE, (22.9, 39.7, 55.6, 100.9, 217)), (8, 32)),
)  # fmt: skip
