"""Take an EfficientNet variant to a file for small devices, and prove that the file is right.

Importing this package imports nothing heavy: each public name is fetched when it is first used.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from benchmarks.api import benchmark, compare, compile, evaluate, sweep, verify_runtimes
    from converters.api import convert, diagnose, quantize, verify
    from converters.check.check import check
    from converters.repair.gate import Gate
    from edgenet.build import build
    from edgenet.counts import Counts, count
    from edgenet.errors import EdgenetError, GateFailed, InputError, MissingError
    from edgenet.layers import Architecture, expand
    from edgenet.training.api import resume_training, train
    from edgenet.variants import VARIANTS, Variant, parse_variant, scaled

__version__ = "0.1.0"

# The public face: name -> module. A name is public when it stands here.
_HOMES = {
    "Architecture": "edgenet.layers",
    "Counts": "edgenet.counts",
    "EdgenetError": "edgenet.errors",
    "Gate": "converters.repair.gate",
    "GateFailed": "edgenet.errors",
    "InputError": "edgenet.errors",
    "MissingError": "edgenet.errors",
    "VARIANTS": "edgenet.variants",
    "Variant": "edgenet.variants",
    "benchmark": "benchmarks.api",
    "build": "edgenet.build",
    "check": "converters.check.check",
    "compare": "benchmarks.api",
    "compile": "benchmarks.api",
    "convert": "converters.api",
    "count": "edgenet.counts",
    "diagnose": "converters.api",
    "evaluate": "benchmarks.api",
    "expand": "edgenet.layers",
    "parse_variant": "edgenet.variants",
    "quantize": "converters.api",
    "resume_training": "edgenet.training.api",
    "scaled": "edgenet.variants",
    "sweep": "benchmarks.api",
    "train": "edgenet.training.api",
    "verify": "converters.api",
    "verify_runtimes": "benchmarks.api",
}

__all__ = [
    "VARIANTS",
    "Architecture",
    "Counts",
    "EdgenetError",
    "Gate",
    "GateFailed",
    "InputError",
    "MissingError",
    "Variant",
    "benchmark",
    "build",
    "check",
    "compare",
    "compile",
    "convert",
    "count",
    "diagnose",
    "evaluate",
    "expand",
    "parse_variant",
    "quantize",
    "resume_training",
    "scaled",
    "sweep",
    "train",
    "verify",
    "verify_runtimes",
]


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module 'edgenet' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
