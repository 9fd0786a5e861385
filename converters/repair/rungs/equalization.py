"""Channel gains (`gains.py`): for nothing around ReLU6; around a swish for one product more, so only where it pays.

Gains are for channels whose largest values are known, since a gained channel saturates sooner. The built-in images do
not tell them: gains from these cost lite1 5 dB on photos (22.6 to 17.4), and gave 0.1 dB on a probe of their own kind.
"""

from collections.abc import Iterator
from dataclasses import replace
from itertools import islice

from converters.diagnosis_cost import layer_costs
from converters.diagnosis_graph import pair_layers
from converters.repair.climb import Climb
from converters.repair.gains import spreads
from converters.repair.recipe import Recipe

JUDGED = 8  # calibration images that the layers are ranked on
MOST_LAYERS = 8
FAILURES = 2  # one after the other, then those behind them bring nothing either


def propose(climb: Climb) -> Iterator[Recipe]:
    """Yield the layers that cost nothing all at once, then those around a swish one by one, the worst first."""
    if climb.bench.images.manifest.kind == "builtin":
        return
    found = spreads(climb.bench.float_model())
    recipe = climb.best.made.recipe
    free = tuple(name for name, spread in found.items() if spread.has_relu6)
    if free:
        yield replace(recipe, equalize=free)
    failures = 0
    for name in _ranked(climb, [name for name, spread in found.items() if spread.has_swish])[:MOST_LAYERS]:
        before = climb.best.made.recipe
        yield replace(before, equalize=(*before.equalize, name))
        failures = 0 if climb.last_was_kept else failures + 1
        if failures == FAILURES:
            return


def _ranked(climb: Climb, names: list[str]) -> list[str]:
    """Return the layers by what the rounding of their activations alone costs the logits, the dearest first."""
    bench = climb.bench
    pairs = [
        replace(pair, weights=None)
        for pair in pair_layers(bench.network.content, bench.plain)
        if pair.name in names and pair.steps
    ]
    images = list(islice(bench.images, JUDGED))
    costs = layer_costs(bench.network.content, pairs, images, bench.expected_of(images), bench.report)
    ranked = sorted(zip(costs, pairs, strict=True), key=lambda row: -row[0].total)
    return [pair.name for _, pair in ranked]
