"""EfficientDet-Lite, drawn from its configuration: published on boards for which no classifier of its kind is.

Sources: google/automl, efficientdet/hparams_config.py (filters, cells, heads), arXiv 1911.09070 (BiFPN), and the sides
that the published .tflite files have. What follows the last layer, the decoding of boxes, is not drawn.
"""

from __future__ import annotations

from dataclasses import dataclass

from benchmarks.graph_drawing import Drawing
from benchmarks.published_networks import draw_blocks
from converters.check.graph import Graph, Tensor
from edgenet.layers import expand
from edgenet.variants import parse_variant

LEVELS = 5  # of the pyramid: an eighth of the side, and half of it from one level to the next
ANCHORS, CLASSES, BOX = 9, 90, 4


@dataclass(frozen=True)
class Detector:
    """One row of the configuration."""

    backbone: str
    side_px: int
    filters: int
    cells: int
    head_layers: int


DETECTORS = {
    "EfficientDet-Lite0": Detector("lite0", 320, 64, 3, 3),
    "EfficientDet-Lite1": Detector("lite1", 384, 88, 4, 3),
    "EfficientDet-Lite2": Detector("lite2", 448, 112, 5, 3),
    "EfficientDet-Lite3": Detector("lite3", 512, 160, 6, 4),
    "EfficientDet-Lite4": Detector("lite4", 640, 224, 7, 4),
}


def detector(row: Detector) -> Graph:
    """Return a detector's graph, all levels of its heads included."""
    net = Drawing(row.side_px)
    network = expand(parse_variant(row.backbone), side_px=row.side_px)
    outputs = draw_blocks(net, network)
    sides = [-(-row.side_px // stride) for stride in (8, 16, 32)]
    features = [[each for each in outputs if each.shape[1] == side][-1] for side in sides]
    sixth = net.pool(net.conv(features[-1], row.filters, 1), 3, 2)
    pyramid = [*features, sixth, net.pool(sixth, 3, 2)]
    for _ in range(row.cells):
        pyramid = _cell(net, pyramid, row.filters)
    for level in pyramid:
        for outputs_each in (CLASSES, BOX):
            _head(net, level, row, outputs_each)
    return net.graph()


def _cell(net: Drawing, levels: list[Tensor], filters: int) -> list[Tensor]:
    """Draw one layer of BiFPN: down from the smallest level, then up again with a way around the middle ones."""
    middle = [*levels]
    middle[-1] = _narrowed(net, levels[-1], filters)
    for place in range(LEVELS - 2, -1, -1):
        above = net.resize(middle[place + 1], levels[place])
        middle[place] = _node(net, [_narrowed(net, levels[place], filters), above], filters)
    result = [middle[0]]
    for place in range(1, LEVELS):
        inputs = [_narrowed(net, levels[place], filters), net.pool(result[-1], 3, 2)]
        result.append(_node(net, inputs + ([middle[place]] if place < LEVELS - 1 else []), filters))
    return result


def _narrowed(net: Drawing, x: Tensor, filters: int) -> Tensor:
    return x if x.shape[-1] == filters else net.conv(x, filters, 1)


def _node(net: Drawing, inputs: list[Tensor], filters: int) -> Tensor:
    x = inputs[0]
    for other in inputs[1:]:
        x = net.add(x, other)
    return net.conv(net.depthwise(x, 3), filters, 1)


def _head(net: Drawing, x: Tensor, row: Detector, outputs: int) -> None:
    for _ in range(row.head_layers):
        x = net.conv(net.depthwise(x, 3), row.filters, 1)
    net.conv(net.depthwise(x, 3), outputs * ANCHORS, 1)
