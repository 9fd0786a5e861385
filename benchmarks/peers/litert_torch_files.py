"""Write what a user of timm gets from litert-torch: lite0 and B0, `fp32`, random weights (for latency only).

An environment of its own, about 8 GB:

    python3.11 -m venv litert-torch-env
    litert-torch-env/bin/pip install 'torch!=2.13.0' torchvision timm litert-torch
    litert-torch-env/bin/python -m benchmarks.peers.litert_torch_files DIR

Two files a network: as timm has it ([1, 3, side, side] in, `-nchw`), and through `to_channel_last_io`, which is what
litert-torch advises for TFLite ([1, side, side, 3] in, `-nhwc`).
"""

import argparse
from pathlib import Path

import litert_torch  # type: ignore[import-not-found]  # only in the environment above
import timm
import torch

from edgenet.variants import VARIANTS

MODELS = {"lite0": "tf_efficientnet_lite0", "b0": "tf_efficientnet_b0"}


def convert(model: torch.nn.Module, image: torch.Tensor, path: Path) -> None:
    """Write `model`, traced on `image`, to `path`."""
    fresh = path.with_suffix(".new.tflite")
    litert_torch.convert(model, (image,)).export(str(fresh))
    fresh.replace(path)
    print(f"{path}: {path.stat().st_size} bytes", flush=True)


def main(folder: Path) -> None:
    """Write `litert-torch-<variant>-fp32-<layout>.tflite` into `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    for variant, name in MODELS.items():
        torch.manual_seed(0)
        model = timm.create_model(name, pretrained=False).eval()
        side_px = VARIANTS[variant].side_px
        convert(model, torch.randn(1, 3, side_px, side_px), folder / f"litert-torch-{variant}-fp32-nchw.tflite")
        channels_last = litert_torch.to_channel_last_io(model, args=[0])
        convert(channels_last, torch.randn(1, side_px, side_px, 3), folder / f"litert-torch-{variant}-fp32-nhwc.tflite")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, metavar="DIR", help="where to write the files")
    main(parser.parse_args().folder)
