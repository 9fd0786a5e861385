"""Three models and what the real Edge TPU compiler made of each; they lie beside the project."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest

FOLDER = Path(__file__).resolve().parents[3] / "shared" / "data" / "edgetpu-pairs"
needs_pairs = pytest.mark.skipif(not FOLDER.is_dir(), reason="needs ../shared/data/edgetpu-pairs")


@dataclass(frozen=True)
class Pair:
    """A model before and after the compiler; `left_on_cpu` is what the compiled file holds beside the custom op."""

    name: str
    operators: int
    left_on_cpu: int
    parameter_bytes: int  # of the compiled package
    instruction_bytes: int
    compiler: str
    token: int

    @property
    def model(self) -> Path:
        return FOLDER / f"{self.name}.tflite"

    @property
    def compiled(self) -> Path:
        return FOLDER / f"{self.name}_edgetpu.tflite"


PAIRS = (
    Pair("mobilenet_v1_0.25_128_quant", 31, 0, 566_912, 182_656, "15.0 or 16.0", 7860026270054507660),
    Pair("mobilenet_v2_1.0_224_quant", 66, 0, 3_900_864, 139_312, "before 15.0", 13678148807057230232),
    Pair("deeplabv3_mnv2_dm05_pascal_quant", 72, 8, 766_720, 168_688, "15.0 or 16.0", 3933219329259043533),
)
each_pair = pytest.mark.parametrize("pair", PAIRS, ids=lambda pair: pair.name)
