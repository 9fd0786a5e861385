"""Rebuild `timm_logits.json`: every variant in timm, with the seeded weights.

An environment of its own, 8 GB (torch's CPU-only 2.13.0 has no torchvision to match):

    python3.11 -m venv timm-env
    timm-env/bin/pip install 'torch!=2.13.0' torchvision timm
    timm-env/bin/python -m tests.golden.rebuild_timm

The input is (pixels - 127.5) / 127.5 for all variants, whatever a variant's own rule is.
"""

from dataclasses import dataclass

import timm
import torch

from edgenet.layers import expand
from edgenet.variants import VARIANTS
from edgenet.weights.record import Padding
from tests.golden import cases, seeded_weights

EDGETPU_NAMES = {"edgetpu-s": "es", "edgetpu-m": "em", "edgetpu-l": "el"}


@dataclass(frozen=True)
class Job:
    """One timm model at one side."""

    variant: str
    side_px: int
    model: str
    padding: Padding = "same"
    batch_norm_epsilon: float = 1e-3


def timm_name(variant: str) -> str:
    """Return timm's name of a variant as Google trained it: SAME padding, batch-norm epsilon 1e-3."""
    if variant.startswith("v2-"):
        return f"tf_efficientnetv2_{variant.removeprefix('v2-')}"
    return f"tf_efficientnet_{EDGETPU_NAMES.get(variant, variant)}"


JOBS = (
    *(Job(variant, side_px, timm_name(variant)) for variant, side_px in cases.SIDES),
    # PyTorch-native networks pad both sides alike and take PyTorch's epsilon.
    Job("b0", 224, "efficientnet_b0", "symmetric", 1e-5),
    Job("edgetpu-s", 224, "efficientnet_es", "symmetric", 1e-5),
)


def compute(job: Job) -> cases.GoldenCase:
    """Return timm's answer to one job; raise ValueError where its tensors are not ours."""
    model = timm.create_model(job.model, pretrained=False, num_classes=cases.CLASSES).eval()
    state = {name: value for name, value in model.state_dict().items() if not name.endswith("num_batches_tracked")}
    theirs = {name: tuple(value.shape) for name, value in state.items()}
    ours = seeded_weights.tensor_shapes(expand(VARIANTS[job.variant], cases.CLASSES))
    if theirs != ours:
        raise ValueError(f"{job.model}: tensors differ: {sorted(set(theirs.items()) ^ set(ours.items()))}")
    epsilons = {part.eps for part in model.modules() if isinstance(part, torch.nn.BatchNorm2d)}
    if epsilons != {job.batch_norm_epsilon}:
        raise ValueError(f"{job.model}: batch-norm epsilon {epsilons}, expected {job.batch_norm_epsilon}")
    for name, value in state.items():
        value.copy_(torch.from_numpy(seeded_weights.seeded_tensor(name, ours[name])))
    image = seeded_weights.normalized(seeded_weights.seeded_image(job.side_px))
    with torch.no_grad():
        logits = model(torch.from_numpy(image).permute(0, 3, 1, 2).contiguous())[0].numpy()
    return cases.make_case(
        logits,
        library=f"timm {timm.__version__} (torch {torch.__version__})",
        model=job.model,
        variant=job.variant,
        side_px=job.side_px,
        parameters=sum(value.numel() for value in state.values()),
        padding=job.padding,
        batch_norm_epsilon=job.batch_norm_epsilon,
    )


def main() -> None:
    """Compute every case and write the file."""
    done = []
    for job in JOBS:
        done.append(compute(job))
        print(f"{done[-1].id}: std {done[-1].std_logit:.3f}, largest {done[-1].max_abs_logit:.3f}", flush=True)
    cases.write_cases(cases.FOLDER / "timm_logits.json", done)


if __name__ == "__main__":
    main()
