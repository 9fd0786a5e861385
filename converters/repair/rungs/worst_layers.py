"""Float, or 16-bit activations on an NPU, for the layers that still cost most (`worst_layers.py`)."""

from collections.abc import Iterator
from dataclasses import replace
from itertools import islice

from converters import flatbuffer
from converters.repair.climb import Climb
from converters.repair.latency import latency_ratio
from converters.repair.layer_prices import layer_prices
from converters.repair.recipe import LayerPrecision, LayerRule, Recipe
from converters.repair.rounding_costs import logits_error, rounding_costs
from converters.repair.worst_layers import Layers, Mixed, worst_layers

JUDGED = 8  # calibration images that choices are measured on
PRECISIONS: dict[str, LayerPrecision] = {"cpu": "fp32", "npu": "w8a16"}


def propose(climb: Climb) -> Iterator[Recipe]:
    """Yield the best recipe with more and more layers out of 8 bits, each set better than the one before."""
    bench, best = climb.bench, climb.best.made
    images = list(islice(bench.images, JUDGED))
    inputs, expected = [bench.network.entry.feed(pixels) for pixels in images], bench.expected_of(images)

    def recipe_of(layers: Layers) -> Recipe:
        names = [name for name in bench.layer_names() if name in layers]
        return replace(best.recipe, rules=tuple(LayerRule(name, PRECISIONS[climb.gate.target]) for name in names))

    def affords(content: bytes) -> bool:
        ratio = latency_ratio(bench.plain, content, images[0])
        return climb.gate.affords(ratio, full_integer=False)

    mixed = Mixed(
        restore=lambda layers: bench.make(recipe_of(layers)).content,
        error=lambda content: logits_error(content, inputs, expected),
        affords=affords,
    )
    costs = rounding_costs(best.float_content, best.content, inputs, expected, bench.report)
    for layers in worst_layers(costs, layer_prices(flatbuffer.read(best.float_content)), mixed):
        yield recipe_of(layers)
