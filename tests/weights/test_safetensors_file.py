"""Safetensors files: half precisions become float32, damage becomes one error."""

from pathlib import Path

import ml_dtypes
import numpy as np
import pytest
from safetensors.numpy import save_file

from edgenet.errors import InputError
from edgenet.weights.safetensors_file import read_safetensors

VALUES = np.linspace(-2, 2, 12, dtype=np.float32).reshape(3, 4)


@pytest.mark.parametrize(
    "dtype", [np.float32, np.float64, np.float16, ml_dtypes.bfloat16], ids=lambda d: np.dtype(d).name
)
def test_every_float_type_becomes_float32(dtype: type, tmp_path: Path) -> None:
    save_file({"w": VALUES.astype(dtype)}, tmp_path / "a.safetensors")
    tensors, notes = read_safetensors(tmp_path / "a.safetensors")
    assert tensors["w"].dtype == np.float32 and notes == ()
    np.testing.assert_array_equal(tensors["w"], VALUES.astype(dtype).astype(np.float32))


def test_a_prefix_of_every_name_is_taken_off(tmp_path: Path) -> None:
    save_file({"module.a": VALUES, "module.b": VALUES}, tmp_path / "a.safetensors")
    tensors, notes = read_safetensors(tmp_path / "a.safetensors")
    assert set(tensors) == {"a", "b"} and notes == ("took 'module.' off every name",)


def test_a_type_without_meaning_here_is_refused(tmp_path: Path) -> None:
    save_file({"w": VALUES.astype(ml_dtypes.float8_e4m3fn)}, tmp_path / "a.safetensors")
    with pytest.raises(InputError, match=r"w has the type F8_E4M3.*F16, BF16"):
        read_safetensors(tmp_path / "a.safetensors")


def test_a_damaged_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.safetensors"
    save_file({"w": VALUES}, path)
    whole = path.read_bytes()
    huge_header = (2**60).to_bytes(8, "little") + whole[8:]
    for damaged in (b"", whole[:5], whole[:40], whole[:-1], huge_header, b"\xff" * 200):
        path.write_bytes(damaged)
        with pytest.raises(InputError, match=r"no readable \.safetensors file"):
            read_safetensors(path)
