"""A float network made smaller, with the uncompressed one beside it, which its files are held against."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from converters.compress.weights import LEFT_ALONE, compress, layer_facts, shows_compression
from converters.convert import float_network
from converters.job import FloatNetwork
from edgenet.artifact import stem
from edgenet.channel_pruning import prune_channels
from edgenet.compression import Compression
from edgenet.counts import count
from edgenet.manifest import CompressionRecord, LayerRecord
from edgenet.moments import input_moments
from edgenet.progress import Report
from edgenet.weights.record import Weights


def compressed_network(
    weights: Weights, compression: Compression, images: Sequence[NDArray[np.uint8]], report: Report
) -> FloatNetwork:
    """Return the network of `weights` made smaller; the full one is checked as well, and is what it is held against.

    Raise GateFailed if a graph does not compute its network, InputError for more than can be cut.
    """
    full = float_network(weights, images, report)
    narrow = narrowed(weights, compression)
    own = float_network(narrow, images, report) if narrow is not weights else full
    read_by = input_moments(narrow.architecture(), narrow)
    return replace(
        own,
        content=compress(own.content, compression, read_by),
        integer_content=compress(own.integer_content, compression, read_by),
        original=full.content,
        compression=compression,
        macs_share=count(narrow.architecture()).macs / count(weights.architecture()).macs,
        uncompressed=stem(full.variant, "fp32", full.weights.source, full.marks),
    )


def narrowed(weights: Weights, compression: Compression) -> Weights:
    """Return weights without the channels that are to go; the same ones where none are."""
    pruning = compression.pruning
    return prune_channels(weights, pruning.share) if pruning and compression.cuts_channels else weights


def compression_record(network: FloatNetwork, content: bytes) -> CompressionRecord | None:
    """Return what was asked for and what a .tflite file's weights show of it.

    A network that was trained so shows it without having been asked. None where there is nothing to be seen.
    """
    asked = network.compression
    if not (asked or network.weights.widths or shows_compression(network.content)):
        return None
    return CompressionRecord(
        prune=asked.pruning.spelled if asked.pruning else "",
        clusters=asked.clusters,
        macs_share=network.macs_share,
        left_alone=LEFT_ALONE,
        uncompressed=network.uncompressed,
        layers=tuple(
            LayerRecord(name=row.name, weights=row.weights, zero_share=round(row.zero_share, 4), values=row.values)
            for row in layer_facts(content)
        ),
    )
