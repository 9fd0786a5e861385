"""What a network can be expected to meet on the Edge TPU, by its layers alone: said before anything is converted."""

from __future__ import annotations

from converters.check.target import read_target
from edgenet.counts import count
from edgenet.layers import Architecture

MIB = 2**20


def limits(network: Architecture) -> list[str]:
    """Return what holds a network back on the chip, in words; empty for one that was made for it and fits.

    Parameters count one byte each, activations are those of the largest tensor alone: at the least so much.
    """
    data, figures, found = read_target("edgetpu"), count(network), []
    assert data.memory is not None  # the file has it
    if network.variant.rules.activation == "swish":
        found.append(data.notes["LOGISTIC"])
    free = data.memory.on_chip_bytes - round(figures.peak_activation * data.memory.activation_share)
    over = figures.batch_norm_folded - max(0, free)
    if free <= 0:
        size = f"{figures.peak_activation / MIB:.1f} MiB"
        found.append(f"one tensor of {size} beside {data.memory.on_chip_bytes / MIB:g} MiB: the compiler may give up")
    elif over > 0:
        found.append(f"about {over / MIB:.1f} MiB of its parameters go to the chip anew with every inference")
    return found
