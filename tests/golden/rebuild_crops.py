"""Rebuild `crops.json`: drawn photos through timm's evaluation transforms, in the environment of `rebuild_timm.py`.

    timm-env/bin/python -m tests.golden.rebuild_crops

The transforms normalize as well; that is undone here, so that the crops are levels 0–255 again.
"""

import numpy as np
import timm
from timm.data import create_transform, resolve_data_config

from edgenet.weights.hub import HUB
from tests.golden.crop_cases import PHOTO_SIZES, GoldenCrop, photo, sampled, write_crops

VARIANTS = ("lite0", "b0", "b3", "v2-b3", "v2-s", "v2-m")


def compute(variant: str, size: tuple[int, int]) -> GoldenCrop:
    """Return timm's crop of one photo, at the side where timm measures the variant."""
    checkpoint = HUB[variant].repository.removeprefix("timm/")
    published = timm.get_pretrained_cfg(checkpoint).to_dict()
    config = resolve_data_config({}, pretrained_cfg=published, use_test_size=True)
    tensor = create_transform(**config, is_training=False)(photo(*size)).permute(1, 2, 0).numpy()
    levels = (tensor * np.asarray(config["std"]) + np.asarray(config["mean"])) * 255
    if np.abs(levels - levels.round()).max() > 1e-3:
        raise ValueError(f"{checkpoint}: the pixels are no whole levels")
    return GoldenCrop(
        id=f"{variant}-{size[0]}x{size[1]}",
        variant=variant,
        side_px=config["input_size"][1],
        photo_size=size,
        source=f"timm {timm.__version__}, {checkpoint}",
        pixels=sampled(levels.round().astype(np.uint8)),
    )


def main() -> None:
    """Compute every case and write the file."""
    write_crops([compute(variant, size) for variant in VARIANTS for size in PHOTO_SIZES])


if __name__ == "__main__":
    main()
