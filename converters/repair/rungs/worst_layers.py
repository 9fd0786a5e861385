"""Float, or 16-bit activations on an NPU, for the layers that still cost most (`worst_layers.py`).

Learned weights make up for the rounding before them. Where a layer leaves 8 bits, what those behind it have learned is
wrong: restored afterwards, the best layers of a b0 brought 0.1 dB. So layers are chosen before any has learned, and the
file that comes out learns with them restored.
"""

from collections.abc import Iterator, Sequence
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
    """Yield the best recipe with some layers out of 8 bits, then with as many as can be afforded."""
    bench, best = climb.bench, climb.best.made.recipe
    unlearned = replace(best, rounding="kernel_sums") if best.rounding == "learned" else best
    made = bench.make(unlearned)
    images = list(islice(bench.images, JUDGED))
    inputs, expected = [bench.network.entry.feed(pixels) for pixels in images], bench.expected_of(images)

    def without(layers: Layers, recipe: Recipe) -> Recipe:
        names = [row.name for row in bench.layers if row.name in layers]
        return replace(recipe, rules=tuple(LayerRule(name, PRECISIONS[climb.gate.target]) for name in names))

    def affords(content: bytes) -> bool:
        ratio = latency_ratio(bench.plain, content, images[0])
        return climb.gate.affords(ratio, full_integer=False)

    mixed = Mixed(
        restore=lambda layers: bench.make(without(layers, unlearned)).content,
        error=lambda content: logits_error(content, inputs, expected),
        affords=affords,
    )
    costs = rounding_costs(made.float_content, made.content, inputs, expected, bench.report)
    sets = list(worst_layers(costs, layer_prices(flatbuffer.read(made.float_content)), mixed))
    for layers in _few(sets):
        yield without(layers, best)


def _few(sets: Sequence[Layers]) -> Iterator[Layers]:
    """Yield the set in the middle and the last one: to learn takes a minute for each."""
    if len(sets) > 1:
        yield sets[(len(sets) - 1) // 2]
    yield from sets[-1:]
