"""The Inception networks of Coral's benchmark page: branches side by side, joined along the channels."""

from __future__ import annotations

from collections.abc import Sequence

from benchmarks.graph_drawing import Drawing
from benchmarks.published_networks import CLASSES
from converters.check.graph import Graph, Tensor

# A step of a branch: channels, kernel [high, wide], stride; all but the strided steps of a reduction are padded.
Step = tuple[int, tuple[int, int], int]


def inception_v1() -> Graph:
    """Return GoogLeNet with 3x3 in the place of 5x5, as TensorFlow's slim has it (arXiv 1409.4842, table 1)."""
    net = Drawing(224)
    x = net.pool(net.conv(net.image, 64, 7, 2), 3, 2)
    x = net.conv(net.conv(x, 64, 1), 192, 3)
    for number, (one, in3, out3, in5, out5, pooled) in enumerate((
        (64, 96, 128, 16, 32, 32), (128, 128, 192, 32, 96, 64), (192, 96, 208, 16, 48, 64),
        (160, 112, 224, 24, 64, 64), (128, 128, 256, 24, 64, 64), (112, 144, 288, 32, 64, 64),
        (256, 160, 320, 32, 128, 128), (256, 160, 320, 32, 128, 128), (384, 192, 384, 48, 128, 128),
    )):  # fmt: skip
        if number in (0, 2, 7):
            x = net.pool(x, 3, 2)
        branches = [[_s(one, 1)], [_s(in3, 1), _s(out3, 3)], [_s(in5, 1), _s(out5, 3)]]
        x = net.join([*_branches(net, x, branches), net.conv(net.pool(x, 3), pooled, 1)])
    net.softmax(net.dense(net.mean(x), CLASSES))
    return net.graph()


def inception_v4() -> Graph:
    """Return Inception v4 (arXiv 1602.07261, figures 3 to 9)."""
    net = Drawing(299)
    x = _stem_v4(net)
    for _ in range(4):
        branches = [[_s(96, 1)], [_s(64, 1), _s(96, 3)], [_s(64, 1), _s(96, 3), _s(96, 3)]]
        x = net.join([*_branches(net, x, branches), net.conv(net.pool(x, 3), 96, 1)])
    x = _reduced(net, x, [[_s(384, 3, 2)], [_s(192, 1), _s(224, 3), _s(256, 3, 2)]])
    for _ in range(7):
        branches = [[_s(384, 1)], [_s(192, 1), (224, (1, 7), 1), (256, (7, 1), 1)],
                    [_s(192, 1), (192, (7, 1), 1), (224, (1, 7), 1), (224, (7, 1), 1), (256, (1, 7), 1)]]  # fmt: skip
        x = net.join([*_branches(net, x, branches), net.conv(net.pool(x, 3), 128, 1)])
    x = _reduced(net, x, [[_s(192, 1), _s(192, 3, 2)],
                          [_s(256, 1), (256, (1, 7), 1), (320, (7, 1), 1), _s(320, 3, 2)]])  # fmt: skip
    for _ in range(3):
        x = _block_c(net, x)
    net.softmax(net.dense(net.mean(x), CLASSES))
    return net.graph()


def _stem_v4(net: Drawing) -> Tensor:
    x = net.conv(net.conv(net.conv(net.image, 32, 3, 2, valid=True), 32, 3, valid=True), 64, 3)
    x = net.join([net.pool(x, 3, 2, valid=True), net.conv(x, 96, 3, 2, valid=True)])
    short = net.conv(net.conv(x, 64, 1), 96, 3, valid=True)
    long = net.conv(net.conv(net.conv(net.conv(x, 64, 1), 64, (1, 7)), 64, (7, 1)), 96, 3, valid=True)
    x = net.join([short, long])
    return net.join([net.conv(x, 192, 3, 2, valid=True), net.pool(x, 3, 2, valid=True)])


def _block_c(net: Drawing, x: Tensor) -> Tensor:
    forked = net.conv(x, 384, 1)
    deep = net.conv(net.conv(net.conv(x, 384, 1), 448, (3, 1)), 512, (1, 3))
    return net.join([
        net.conv(x, 256, 1), net.conv(forked, 256, (1, 3)), net.conv(forked, 256, (3, 1)),
        net.conv(deep, 256, (1, 3)), net.conv(deep, 256, (3, 1)), net.conv(net.pool(x, 3), 256, 1),
    ])  # fmt: skip


def inception_resnet_v2() -> Graph:
    """Return Inception-ResNet v2 as TensorFlow's slim has it (arXiv 1602.07261, figures 15 to 18)."""
    net = Drawing(299)
    x = net.conv(net.conv(net.conv(net.image, 32, 3, 2, valid=True), 32, 3, valid=True), 64, 3)
    x = net.conv(net.conv(net.pool(x, 3, 2, valid=True), 80, 1), 192, 3, valid=True)
    x = net.pool(x, 3, 2, valid=True)
    branches = [[_s(96, 1)], [_s(48, 1), _s(64, 5)], [_s(64, 1), _s(96, 3), _s(96, 3)]]
    x = net.join([*_branches(net, x, branches), net.conv(net.pool(x, 3), 64, 1)])
    for _ in range(10):
        x = _residual(net, x, [[_s(32, 1)], [_s(32, 1), _s(32, 3)], [_s(32, 1), _s(48, 3), _s(64, 3)]])
    x = _reduced(net, x, [[_s(384, 3, 2)], [_s(256, 1), _s(256, 3), _s(384, 3, 2)]])
    for _ in range(20):
        x = _residual(net, x, [[_s(192, 1)], [_s(128, 1), (160, (1, 7), 1), (192, (7, 1), 1)]])
    x = _reduced(net, x, [[_s(256, 1), _s(384, 3, 2)], [_s(256, 1), _s(288, 3, 2)],
                          [_s(256, 1), _s(288, 3), _s(320, 3, 2)]])  # fmt: skip
    for _ in range(10):
        x = _residual(net, x, [[_s(192, 1)], [_s(192, 1), (224, (1, 3), 1), (256, (3, 1), 1)]])
    net.softmax(net.dense(net.mean(net.conv(x, 1536, 1)), CLASSES))
    return net.graph()


def _residual(net: Drawing, x: Tensor, branches: Sequence[Sequence[Step]]) -> Tensor:
    return net.add(x, net.conv(net.join(_branches(net, x, branches)), x.shape[-1], 1))


def _reduced(net: Drawing, x: Tensor, branches: Sequence[Sequence[Step]]) -> Tensor:
    return net.join([*_branches(net, x, branches), net.pool(x, 3, 2, valid=True)])


def _branches(net: Drawing, x: Tensor, branches: Sequence[Sequence[Step]]) -> list[Tensor]:
    ends = []
    for steps in branches:
        y = x
        for channels, kernel, stride in steps:
            y = net.conv(y, channels, kernel, stride, valid=stride > 1)
        ends.append(y)
    return ends


def _s(channels: int, side: int, stride: int = 1) -> Step:
    """Return a step with a square kernel."""
    return channels, (side, side), stride
