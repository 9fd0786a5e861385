"""From weights to a float network that is known to be right: the first half of `edgenet convert`."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from converters import flatbuffer
from converters.entry import FLOAT_ENTRY, integer_entry
from converters.evidence import weights_record
from converters.float_file import build_float
from converters.job import FloatNetwork
from converters.network_check import network_error
from edgenet.progress import Report, silent
from edgenet.weights.record import Weights


def float_network(weights: Weights, images: Sequence[NDArray[np.uint8]], report: Report = silent) -> FloatNetwork:
    """Write `weights` as float graphs and check them against the tf_keras network on raw pixels [side, side, 3].

    Raise GateFailed if the graph does not compute the network.
    """
    preprocessing = weights.preprocessing
    architecture = weights.architecture()
    entry = integer_entry(preprocessing)
    content = flatbuffer.write(build_float(architecture, weights, FLOAT_ENTRY))
    report("checking the network", 0, 1)
    error = network_error(content, architecture, weights, images)
    report("checking the network", 1, 1)
    return FloatNetwork(
        variant=weights.variant.name,
        content=content,
        integer_content=flatbuffer.write(build_float(architecture, weights, entry)),
        entry=entry,
        exact=entry.ranges(preprocessing),
        weights=weights_record(weights),
        preprocessing=preprocessing,
        network_error=error,
    )
