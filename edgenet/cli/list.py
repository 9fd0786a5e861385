"""`edgenet list`: every variant with its size, its cost and its published accuracy."""

from dataclasses import asdict
from difflib import get_close_matches
from typing import Annotated

import typer

from edgenet.cli.console import Column, emit_json, next_command, show, show_table
from edgenet.cli.options import Json
from edgenet.counts import Counts, count
from edgenet.errors import InputError
from edgenet.layers import expand
from edgenet.published import PUBLISHED, Published
from edgenet.variants import FAMILIES, VARIANTS, Variant

MIB = 2**20
COLUMNS = (
    Column("\nvariant"),
    Column("input\npx", numeric=True),
    Column("params\nM", numeric=True),
    Column("MACs\nM", numeric=True),
    Column("int8\nMiB", numeric=True),
    Column("published\ntop-1 %", numeric=True),
    Column("published\nint8 top-1 %", numeric=True),
)


def command(
    family: Annotated[str, typer.Option(metavar="NAME", help=f"Only one family: {', '.join(FAMILIES)}.")] = "",
    as_json: Json = False,
) -> None:
    """Show every variant: input side, trainable parameters, multiply-accumulates and int8 weight size, computed
    exactly for 1000 classes; and the accuracy that its authors published.
    """
    rows = [(variant, count(expand(variant)), PUBLISHED[variant.name]) for variant in _chosen(family)]
    if as_json:
        emit_json({"variants": [_record(*row) for row in rows]})
        return
    show_table(COLUMNS, [_cells(*row) for row in rows])
    show()
    show("Computed: params, MACs, int8 weights. Published by, on ImageNet:")
    for source in dict.fromkeys(published.source for _, _, published in rows):
        names = [variant.name for variant, _, published in rows if published.source == source]
        show(f"  {names[0]}..{names[-1]}: {source}" if len(names) > 1 else f"  {names[0]}: {source}")
    next_command(f"edgenet info {rows[0][0].name}")


def _chosen(family: str) -> list[Variant]:
    if family and family not in FAMILIES:
        close = get_close_matches(family, FAMILIES, n=1)
        mend = f"did you mean {close[0]}?" if close else "edgenet list shows all families"
        raise InputError(f"unknown family {family!r}", allowed=", ".join(FAMILIES), mend=mend)
    return [variant for variant in VARIANTS.values() if family in ("", variant.family)]


def _cells(variant: Variant, counts: Counts, published: Published) -> list[str]:
    int8_top1 = published.int8_top1_percent
    return [
        variant.name,
        str(variant.side_px),
        f"{counts.trainable / 1e6:.2f}",
        f"{counts.macs / 1e6:,.0f}",
        f"{counts.int8_size_bytes / MIB:.1f}",
        f"{published.top1_percent:.1f}",
        "-" if int8_top1 is None else f"{int8_top1:.1f}",
    ]


def _record(variant: Variant, counts: Counts, published: Published) -> dict[str, object]:
    return {
        "variant": variant.name,
        "family": variant.family,
        "side_px": variant.side_px,
        "computed": asdict(counts),
        "published": asdict(published),
    }
