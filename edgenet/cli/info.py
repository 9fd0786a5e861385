"""`edgenet info VARIANT`: one network spelled out, its exact counts beside the published figures."""

from collections.abc import Sequence
from dataclasses import asdict
from itertools import groupby
from math import prod
from pathlib import Path
from typing import Annotated

import typer

from edgenet.cli.console import Column, emit_json, next_command, show, show_table
from edgenet.cli.options import Classes, Json, Side, VariantName
from edgenet.counts import Counts, count, layer_macs
from edgenet.errors import InputError
from edgenet.layers import Architecture, Layer, expand
from edgenet.named_variant import named_variant
from edgenet.published import PUBLISHED, Published
from edgenet.variants import Stage

MIB = 2**20
STAGE_COLUMNS = (
    Column("stage"),
    Column("block"),
    Column("k/s"),
    Column("blocks", numeric=True),
    Column("output"),
    Column("params", numeric=True),
    Column("MACs M", numeric=True),
)
LAYER_COLUMNS = (
    Column("layer"),
    Column("k/s"),
    Column("in", numeric=True),
    Column("output"),
    Column("params", numeric=True),
    Column("MACs M", numeric=True),
)


def command(
    name: VariantName,
    layers: Annotated[bool, typer.Option("--layers", help="Show every layer with its shapes.")] = False,
    side: Side = None,
    classes: Classes = None,
    as_json: Json = False,
) -> None:
    """Show one variant: exact counts beside the published figures, and its stages; or what a model file holds."""
    if name.lower().endswith((".tflite", ".onnx")):
        from edgenet.cli.info_file import show_file

        if layers or side or classes:
            raise InputError("--layers, --side and --classes go with a variant, not with a file")
        show_file(Path(name), as_json)
        return
    network = expand(named_variant(name), num_classes=classes or 1000, side_px=side or 0)
    if as_json:
        emit_json(_record(network))
        return
    _show_counts(network)
    show()
    show_table(STAGE_COLUMNS, _stage_rows(network))
    if layers:
        show()
        show_table(LAYER_COLUMNS, [_layer_cells(layer) for layer in network.layers])
    next_command(f"edgenet convert --variant {name} --int8")


def _show_counts(network: Architecture) -> None:
    variant, counts = network.variant, count(network)
    side = network.side_px
    show(f"{variant.name}: {side} x {side} RGB to {network.num_classes} classes, {variant.rules.activation}")
    show(f"width {variant.width:g}, depth {variant.depth:g}, dropout {variant.dropout:g}")
    show()
    published = PUBLISHED.get(variant.name)
    if published is None:
        show_table((Column(""), Column("computed", numeric=True)), _computed_rows(counts))
        return
    rows = [(*row, figure) for row, figure in zip(_computed_rows(counts), _published_cells(published), strict=True)]
    columns = (Column(""), Column("computed", numeric=True), Column("published", numeric=True))
    show_table(columns, [*rows, *_accuracy_rows(published)])
    show()
    show(f"Published at {variant.side_px} px: {published.source}")


def _computed_rows(counts: Counts) -> list[tuple[str, str]]:
    return [
        ("parameters, trainable", f"{counts.trainable:,}"),
        ("multiply-accumulates", f"{counts.macs / 1e6:,.1f} M"),
        ("parameters with batch-norm statistics", f"{counts.with_batch_norm_statistics:,}"),
        ("parameters deployed, batch norm folded", f"{counts.batch_norm_folded:,}"),
        ("int8 weights + int32 biases", f"{counts.int8_size_bytes / MIB:.2f} MiB"),
        ("largest activation", f"{counts.peak_activation:,} values"),
        ("blocks / skips / SE", f"{counts.blocks} / {counts.adds} / {counts.squeezes}"),
    ]


def _published_cells(published: Published) -> list[str]:
    """Return the published column beside `_computed_rows`."""
    return [_millions(published.parameters), _millions(published.multiply_adds), "", "", "", "", ""]


def _accuracy_rows(published: Published) -> list[tuple[str, str, str]]:
    return [
        ("top-1, ImageNet", "", _percent(published.top1_percent)),
        ("top-5, ImageNet", "", _percent(published.top5_percent)),
        ("top-1, int8", "", _percent(published.int8_top1_percent)),
    ]


def _millions(figure: int | None) -> str:
    return "-" if figure is None else f"{figure / 1e6:,.5g} M"


def _percent(figure: float | None) -> str:
    return "-" if figure is None else f"{figure:g} %"


def _stage_rows(network: Architecture) -> list[list[str]]:
    rows = [_end_row("stem", network.stem)]
    stages = groupby(network.blocks, key=lambda block: block.name.split(".")[1])
    for index, (stage, group) in enumerate(
        zip(network.variant.stages, (list(found) for _, found in stages), strict=True)
    ):
        layers = [layer for block in group for layer in block.layers]
        output = _shape(group[-1].out_side, group[-1].out_channels)
        window = f"{stage.kernel}x{stage.kernel}/{stage.stride}"
        rows.append([str(index), _block_name(stage), window, str(len(group)), output, *_costs(layers)])
    return [*rows, _end_row("head", network.head), _end_row("classifier", network.classifier)]


def _block_name(stage: Stage) -> str:
    """Return the papers' name of a block: its kind with the expansion, and SE for squeeze-and-excite."""
    kind = "fused" if stage.kind == "fused" else "MBConv"
    return f"{kind}{stage.expand}{' SE' if stage.squeeze else ''}"


def _end_row(name: str, layer: Layer) -> list[str]:
    return [name, layer.kind, _window(layer), "", _shape(layer.out_side, layer.out_channels), *_costs([layer])]


def _costs(layers: Sequence[Layer]) -> tuple[str, str]:
    return f"{sum(map(_parameters, layers)):,}", f"{sum(map(layer_macs, layers)) / 1e6:,.1f}"


def _parameters(layer: Layer) -> int:
    """Return a layer's trainable parameters: weights, and a bias or the batch norm's scale and shift."""
    return prod(layer.weight_shape) + layer.out_channels * (2 if layer.batch_norm else 1)


def _layer_cells(layer: Layer) -> list[str]:
    output = _shape(layer.out_side, layer.out_channels)
    return [layer.name, _window(layer), str(layer.in_channels), output, *_costs([layer])]


def _window(layer: Layer) -> str:
    """Return kernel/stride, marked for a depthwise convolution."""
    if layer.kind == "dense":
        return ""
    return f"{layer.kernel}x{layer.kernel}/{layer.stride}{' dw' if layer.kind == 'depthwise' else ''}"


def _shape(side: int, channels: int) -> str:
    return f"{side}x{side}x{channels}"


def _record(network: Architecture) -> dict[str, object]:
    variant = network.variant
    published = PUBLISHED.get(variant.name)
    return {
        "variant": variant.name,
        "family": variant.family,
        "width": variant.width,
        "depth": variant.depth,
        "dropout": variant.dropout,
        "side_px": network.side_px,
        "num_classes": network.num_classes,
        "computed": asdict(count(network)),
        "published": published and asdict(published),
        "layers": [_layer_record(layer) for layer in network.layers],
    }


def _layer_record(layer: Layer) -> dict[str, object]:
    return {
        "name": layer.name,
        "kind": layer.kind,
        "kernel": layer.kernel,
        "stride": layer.stride,
        "input_shape": [layer.in_side, layer.in_side, layer.in_channels],
        "output_shape": [layer.out_side, layer.out_side, layer.out_channels],
        "weight_shape": list(layer.weight_shape),
        "batch_norm": layer.batch_norm or None,
        "activation": layer.activation,
        "parameters": _parameters(layer),
        "macs": layer_macs(layer),
    }
