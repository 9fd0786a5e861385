"""The curves of a training as drawings: loss and accuracy over the epochs, on training and on validation images."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from benchmarks.page_drawing import Dot, Drawing, Label, Rule, Scale, padded, y_of
from edgenet.training.state import EpochRecord

PLOT_PX, TOP_PX, BELOW_PX = 180, 18, 34
Series = Sequence[float]


def curves(history: Sequence[EpochRecord], best_epoch: int) -> list[tuple[str, Drawing]]:
    """Return (caption, drawing) of loss and of accuracy; the best epoch is marked."""
    loss = _drawing([row.loss for row in history], [row.val_loss for row in history], "loss", best_epoch)
    accuracy = _drawing(
        [100 * row.accuracy for row in history], [100 * row.val_accuracy for row in history], "top-1 %", best_epoch
    )
    return [
        (
            "Cross entropy. Training images are augmented, mixed, and have smoothed targets, so theirs is the higher.",
            loss,
        ),
        ("Share of images whose class was found. Of mixed images the larger part counts.", accuracy),
    ]


def _drawing(train: Series, val: Series, name: str, best_epoch: int) -> Drawing:
    summary = f"{name} of {len(val)} epochs: validation from {val[0]:.3g} to {val[-1]:.3g}, best epoch {best_epoch}."
    drawing = Drawing(TOP_PX + PLOT_PX + BELOW_PX, summary)
    bottom_px = TOP_PX + PLOT_PX
    x_scale = Scale(*padded(1, max(2, len(val)), 0.08))
    y_scale = Scale(*padded(min(*train, *val), max(*train, *val), least=1e-6))
    drawing.y_axis(y_scale, TOP_PX, PLOT_PX)
    drawing.rules.append(Rule("base", 0, bottom_px, 100, bottom_px))
    step = -(-len(val) // 10)
    for epoch in range(1, len(val) + 1, step):
        drawing.labels.append(Label("tick", x_scale.percent(epoch), bottom_px + 14, str(epoch)))
    drawing.labels.append(Label("axis", 100, bottom_px + 29, "epoch", "end"))
    drawing.labels.append(Label("panel", 0, TOP_PX - 6, name, "start"))
    for css, values in (("train", train), ("val", val)):
        points = [
            (x_scale.percent(epoch), y_of(y_scale, value, TOP_PX, PLOT_PX)) for epoch, value in enumerate(values, 1)
        ]
        drawing.rules += [Rule(css, *start, *end) for start, end in pairwise(points)]
        for (x, y_px), (epoch, value) in zip(points, enumerate(values, 1), strict=True):
            radius_px = 5 if css == "val" and epoch == best_epoch else 2.5
            drawing.dots.append(Dot(css, x, y_px, radius_px, f"epoch {epoch}: {value:.4g}"))
        drawing.labels.append(Label(css, points[-1][0], points[-1][1] - 7, f"{_NAMES[css]} {values[-1]:.3g}", "end"))
    return drawing


_NAMES = {"train": "training", "val": "validation"}
