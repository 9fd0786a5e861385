"""Golden cases: what another library computes from the seeded weights, and at which sides.

`*_logits.json` hold one case a line. `rebuild_timm.py` and `rebuild_keras.py` write them; the tests only read.
"""

import json
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edgenet.weights.record import Padding

FOLDER = Path(__file__).parent
CLASSES = 1000
CLASS_STEP = 16  # every 16th logit is kept: 63 of 1000


@dataclass(frozen=True)
class GoldenCase:
    """One network, one side, and its logits for `normalized(seeded_image(side_px))`."""

    id: str
    variant: str
    side_px: int
    padding: Padding
    batch_norm_epsilon: float
    source: str  # library and version, then the model's name there
    parameters: int  # values that the library counts in the model, batch-norm statistics included
    logits: tuple[float, ...]  # of classes 0, 16, 32, …
    top5: tuple[int, ...]  # classes, the largest logit first
    mean_logit: float  # this and the next two over all 1000 classes
    std_logit: float
    max_abs_logit: float


# Published sides where they are cheap, smaller ones for the large variants; odd ones because SAME pads them otherwise.
SIDES: tuple[tuple[str, int], ...] = (
    ("b0", 224),
    ("b0", 225),
    ("b1", 240),
    ("b2", 260),
    ("b3", 300),
    ("b4", 256),
    ("b5", 224),
    ("b6", 224),
    ("b7", 224),
    ("lite0", 224),
    ("lite0", 227),
    ("lite1", 240),
    ("lite2", 260),
    ("lite3", 280),
    ("lite4", 300),
    ("edgetpu-s", 224),
    ("edgetpu-s", 223),
    ("edgetpu-m", 240),
    ("edgetpu-l", 300),
    ("v2-b0", 224),
    ("v2-b0", 193),
    ("v2-b1", 240),
    ("v2-b2", 260),
    ("v2-b3", 300),
    ("v2-s", 256),
    ("v2-m", 224),
    ("v2-l", 224),
    ("v2-xl", 224),
)


def make_case(
    logits: NDArray[np.float32],
    *,
    library: str,
    model: str,
    variant: str,
    side_px: int,
    parameters: int,
    padding: Padding = "same",
    batch_norm_epsilon: float = 1e-3,
) -> GoldenCase:
    """Return the case of `logits` [1000]; raise ValueError where they would make a weak reference."""
    order = np.argsort(logits)[::-1]
    lead, std = float(logits[order[0]] - logits[order[1]]), float(logits.std())
    peak = float(np.abs(logits).max())
    if logits.shape != (CLASSES,) or not 0.1 < std < 20 or lead < 1e-3 * peak:
        raise ValueError(f"{model} at {side_px}: logits {logits.shape}, std {std:.3g}, top-1 leads by {lead:.3g}")
    return GoldenCase(
        id=f"{library.split()[0]}-{variant}-{side_px}" + ("" if padding == "same" else f"-{padding}"),
        variant=variant,
        side_px=side_px,
        padding=padding,
        batch_norm_epsilon=batch_norm_epsilon,
        source=f"{library}, {model}",
        parameters=parameters,
        logits=tuple(float(f"{value:.9g}") for value in logits[::CLASS_STEP]),
        top5=tuple(int(index) for index in order[:5]),
        mean_logit=float(f"{logits.mean(dtype=np.float64):.9g}"),
        std_logit=float(f"{logits.std(dtype=np.float64):.9g}"),
        max_abs_logit=float(f"{peak:.9g}"),
    )


def write_cases(path: Path, cases: list[GoldenCase]) -> None:
    """Write one case a line, so that a change shows as the lines that changed."""
    lines = ",\n".join(json.dumps(asdict(case)) for case in cases)
    fresh = path.with_suffix(".new")
    fresh.write_text(f"[\n{lines}\n]\n")
    fresh.replace(path)


def read_cases(path: Path) -> list[GoldenCase]:
    """Return the cases of one file."""
    rows = json.loads(path.read_text())
    return [GoldenCase(**(row | {"logits": tuple(row["logits"]), "top5": tuple(row["top5"])})) for row in rows]


def all_cases() -> list[GoldenCase]:
    """Return every stored case; raise ValueError if two share an id."""
    cases = [case for path in sorted(FOLDER.glob("*_logits.json")) for case in read_cases(path)]
    if len({case.id for case in cases}) < len(cases):
        raise ValueError("two golden cases share an id")
    return cases


def relative_errors(logits: NDArray[np.float32], case: GoldenCase) -> dict[str, float]:
    """Return how far `logits` [1000] are from `case`, as shares of its largest absolute logit.

    Besides the kept logits the mean and standard deviation of all 1000 are compared, so that no class goes unseen.
    """
    kept = np.abs(logits[::CLASS_STEP].astype(np.float64) - np.asarray(case.logits)).max()
    mean = abs(float(logits.mean(dtype=np.float64)) - case.mean_logit)
    std = abs(float(logits.std(dtype=np.float64)) - case.std_logit)
    return {name: float(value) / case.max_abs_logit for name, value in (("kept", kept), ("mean", mean), ("std", std))}
