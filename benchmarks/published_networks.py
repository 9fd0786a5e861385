"""The networks of Coral's benchmark page, drawn from the papers: what each op computes, not how well it was trained.

`tests/test_published_networks.py` holds each against the parameters that its authors count.
"""

from __future__ import annotations

from benchmarks.graph_drawing import Drawing
from converters.check.graph import Graph, Tensor
from edgenet.layers import Architecture, expand
from edgenet.variants import Variant, parse_variant

CLASSES = 1001  # with the background class, as TensorFlow's models have it


def mobilenet_v1() -> Graph:
    """Return MobileNet v1 1.0 (arXiv 1704.04861, table 1)."""
    net = Drawing(224)
    x = net.conv(net.image, 32, 3, 2)
    for channels, stride in ((64, 1), (128, 2), (128, 1), (256, 2), (256, 1), (512, 2), *[(512, 1)] * 5,
                             (1024, 2), (1024, 1)):  # fmt: skip
        x = net.conv(net.depthwise(x, 3, stride), channels, 1)
    return _classified(net, net.mean(x))


def mobilenet_v2() -> Graph:
    """Return MobileNet v2 1.0 (arXiv 1801.04381, table 2)."""
    net = Drawing(224)
    x = net.conv(net.image, 32, 3, 2)
    for factor, channels, repeats, first in ((1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1),
                                             (6, 160, 3, 2), (6, 320, 1, 1)):  # fmt: skip
        for stride in (first, *[1] * (repeats - 1)):
            wide = net.conv(x, factor * x.shape[-1], 1) if factor > 1 else x
            narrow = net.conv(net.depthwise(wide, 3, stride), channels, 1)
            x = net.add(x, narrow) if narrow.shape == x.shape else narrow
    return _classified(net, net.mean(net.conv(x, 1280, 1)))


def resnet_v1(depths: tuple[int, ...]) -> Graph:
    """Return a ResNet of bottlenecks (arXiv 1512.03385, table 1)."""
    net = Drawing(299)
    x = net.pool(net.conv(net.image, 64, 7, 2), 3, 2)
    for stage, repeats in enumerate(depths):
        for block in range(repeats):
            x = net.add(*_bottleneck(net, x, x, stage, block))
    return _classified(net, net.mean(x))


def resnet_v2(depths: tuple[int, ...]) -> Graph:
    """Return a ResNet with activations before the convolutions (arXiv 1603.05027), which no convolution takes in."""
    net = Drawing(299)
    x = net.pool(net.conv(net.image, 64, 7, 2), 3, 2)
    for stage, repeats in enumerate(depths):
        for block in range(repeats):
            x = net.add(*_bottleneck(net, x, net.rectify(x), stage, block))
    return _classified(net, net.mean(net.rectify(x)))


def _bottleneck(net: Drawing, skip: Tensor, x: Tensor, stage: int, block: int) -> tuple[Tensor, Tensor]:
    narrow, stride = 64 * 2**stage, 2 if stage and not block else 1
    deep = net.conv(net.conv(net.conv(x, narrow, 1), narrow, 3, stride), 4 * narrow, 1)
    return deep, skip if block else net.conv(x, 4 * narrow, 1, stride)


def vgg(repeats: tuple[int, ...]) -> Graph:
    """Return a VGG (arXiv 1409.1556, table 1: columns D and E)."""
    net = Drawing(224)
    x = net.image
    for channels, count in zip((64, 128, 256, 512, 512), repeats, strict=True):
        for _ in range(count):
            x = net.conv(x, channels, 3)
        x = net.pool(x, 2, 2)
    return _classified(net, net.dense(net.dense(x, 4096), 4096))


def squeezenet() -> Graph:
    """Return SqueezeNet 1.0 (arXiv 1602.07360, table 1)."""
    net = Drawing(224)
    x = net.conv(net.image, 96, 7, 2)
    for number, narrow in enumerate((16, 16, 32, 32, 48, 48, 64, 64)):
        if number in (0, 3, 7):
            x = net.pool(x, 3, 2, valid=True)
        squeezed = net.conv(x, narrow, 1)
        x = net.join([net.conv(squeezed, 4 * narrow, 1), net.conv(squeezed, 4 * narrow, 3)])
    net.softmax(net.mean(net.conv(x, CLASSES, 1)))
    return net.graph()


def densenet() -> Graph:
    """Return DenseNet-121 (arXiv 1608.06993, table 1); each batch norm stands before its convolution."""
    net = Drawing(224)
    x = net.pool(net.conv(net.image, 64, 7, 2), 3, 2)
    for stage, repeats in enumerate((6, 12, 24, 16)):
        if stage:
            x = net.pool(net.conv(net.rectify(x), x.shape[-1] // 2, 1), 2, 2)
        for _ in range(repeats):
            x = net.join([x, net.conv(net.conv(net.rectify(x), 128, 1), 32, 3)])
    return _classified(net, net.mean(net.rectify(x)))


def efficientnet(name: str, side: int = 0) -> Graph:
    """Return a variant of edgenet without squeeze-and-excite.

    EdgeTPU variants are drawn as they were released and measured in 2019, with the stride of a fused block on its 1x1
    projection; current code has it on the 3x3 expansion.
    """
    return variant_graph(parse_variant(f"{name}:released" if name.startswith("edgetpu") else name), side)


def variant_graph(variant: Variant, side: int = 0) -> Graph:
    """Return a variant as edgenet converts it, without squeeze-and-excite."""
    network = expand(variant, num_classes=CLASSES, side_px=side)
    net = Drawing(network.side_px)
    x = draw_blocks(net, network)[-1]
    return _classified(net, net.mean(net.conv(x, network.head.out_channels, 1)))


def draw_blocks(net: Drawing, network: Architecture) -> list[Tensor]:
    """Draw stem and blocks of a variant without squeeze-and-excite; return the output of each block."""
    x, outputs = net.conv(net.image, network.stem.out_channels, network.stem.kernel, 2), []
    for block in network.blocks:
        before = x
        for layer in block.before_squeeze + block.after_squeeze:
            x = net.depthwise(x, layer.kernel, layer.stride) if layer.kind == "depthwise" else net.conv(
                x, layer.out_channels, layer.kernel, layer.stride)  # fmt: skip
        x = net.add(before, x) if block.skip else x
        outputs.append(x)
    return outputs


def _classified(net: Drawing, x: Tensor) -> Graph:
    net.softmax(net.dense(x, CLASSES))
    return net.graph()
