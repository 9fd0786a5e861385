"""Coral's published latencies of classifiers that are mapped whole: what the estimate of `edgenet check` is fitted on.

Sources: Coral, "Edge TPU performance benchmarks" (C++, execution only; USB accelerator on a desktop, Dev Board, and
both machines' CPU), and google-coral/pycoral, benchmarks/reference (mean of 200 runs; Raspberry Pi 3 B+, whose USB is
2.0). The row of EfficientNet-EdgeTPU L is not on the copy of the page that could be read, and is left out. The page
has the CPU figures of the EdgeTPU variants ten times too large for a desktop, so those are left out as well.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from benchmarks import published_inceptions, published_networks
from converters.check.graph import Graph


@dataclass(frozen=True)
class Row:
    """A network with its published figures in seconds; 0 = not published."""

    name: str
    draw: Callable[[], Graph]
    parameters: int  # that its authors, or those of the common implementation, count: 1000 classes
    usb3_s: float = 0.0
    pcie_s: float = 0.0
    usb2_s: float = 0.0
    desktop_cpu_s: float = 0.0
    embedded_cpu_s: float = 0.0


def _ms(*figures: float) -> list[float]:
    return [figure / 1000 for figure in figures]


ROWS = (
    Row("DenseNet-121", published_networks.densenet, 7_978_856, *_ms(20, 25, 0, 380, 1032)),
    Row("Inception v1", published_inceptions.inception_v1, 6_624_904, *_ms(3.4, 4.1, 18.94, 90, 392)),
    Row("Inception v4", published_inceptions.inception_v4, 42_679_816, *_ms(85, 102, 1054.9, 700, 3157)),
    Row("Inception-ResNet v2", published_inceptions.inception_resnet_v2, 55_843_464, *_ms(57, 69, 0, 753, 2852)),
    Row("MobileNet v1", published_networks.mobilenet_v1, 4_231_976, *_ms(2.4, 2.4, 9.0, 53, 164)),
    Row("MobileNet v2", published_networks.mobilenet_v2, 3_504_872, *_ms(2.6, 2.6, 10.61, 51, 122)),
    Row("ResNet-50 v1", lambda: published_networks.resnet_v1((3, 4, 6, 3)), 25_557_032, *_ms(49, 56, 0, 484, 1763)),
    Row("ResNet-50 v2", lambda: published_networks.resnet_v2((3, 4, 6, 3)), 25_549_352, *_ms(50, 59, 0, 557, 1875)),
    Row("ResNet-152 v2", lambda: published_networks.resnet_v2((3, 8, 36, 3)), 60_185_128,
        *_ms(128, 151, 0, 1823, 5499)),
    Row("SqueezeNet 1.0", published_networks.squeezenet, 1_248_424, *_ms(2.1, 2, 0, 55, 232)),
    Row("VGG16", lambda: published_networks.vgg((2, 2, 3, 3, 3)), 138_357_544, *_ms(296, 343, 0, 867, 4595)),
    Row("VGG19", lambda: published_networks.vgg((2, 2, 4, 4, 4)), 143_667_240, *_ms(308, 357, 0, 1060, 5538)),
    Row("EfficientNet-EdgeTPU S", lambda: published_networks.efficientnet("edgetpu-s"), 5_438_392, *_ms(5.1, 5.5)),
    Row("EfficientNet-EdgeTPU M", lambda: published_networks.efficientnet("edgetpu-m"), 6_899_496, *_ms(8.7, 10.6)),
)  # fmt: skip
