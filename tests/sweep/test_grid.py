"""Grids of sweep.toml and of flags: what they mean, and the line of what they cannot."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.sweep.grid import grid_of_values, read_grid
from edgenet.errors import InputError

GOOD = """variants = ["lite0", "b0"]
precisions = ["w8a8", "fp32"]
devices = ["local"]
data = "photos"

[weights]
b0 = "b0.safetensors"

[benchmark]
protocol = "quick"
threads = [1, 4]
"""


@pytest.fixture(autouse=True)
def named_files(tmp_path: Path) -> None:
    """Make what the grid names."""
    (tmp_path / "photos").mkdir()
    (tmp_path / "b0.safetensors").touch()


def test_a_grid_in_plain_values(tmp_path: Path) -> None:
    path = tmp_path / "sweep.toml"
    path.write_text(GOOD)
    grid = read_grid(path)
    assert grid.variants == ("lite0", "b0")
    assert grid.precisions == ("fp32", "w8a8")
    assert grid.weights == ("auto", str(tmp_path / "b0.safetensors"))
    assert grid.data == str(tmp_path / "photos")
    assert (grid.protocol.name, grid.threads) == ("quick", (1, 4))
    assert grid.cells() == [
        (variant, precision, "local") for variant in ("lite0", "b0") for precision in ("fp32", "w8a8")
    ]


def test_a_grid_without_devices_has_a_cell_a_file() -> None:
    grid = grid_of_values({"variants": ["EfficientNet-Lite0"], "precisions": ["fp32"]})
    assert grid.cells() == [("lite0", "fp32", None)]


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('"b0"]', '"b9"]', "line 1: unknown variant 'b9'"),
        ('"b0"]', '"lite0"]', "line 1: lite0 is named twice"),
        ('"b0"]', '"efficientnet-lite0"]', "line 1: lite0 is named twice"),
        ('["lite0", "b0"]', "[]", "line 1: variants: Tuple should have at least 1 item"),
        ('["lite0", "b0"]', '"lite0"', "line 1: variants: Input should be a valid tuple"),
        ('"fp32"', '"fp31"', "line 2: unknown precision 'fp31'"),
        ('"local"', '"pi9"', "line 3: unknown device 'pi9'"),
        ('"local"', '"ssh://a@b", "ssh://a@b"', "line 3: ssh://a@b is named twice"),
        ("data =", "date =", "line 4: date: Extra inputs are not permitted; allowed: variants, precisions, devices"),
        ('"photos"', '"fotos"', "line 4: 'fotos' does not exist"),
        ('"b0.safe', '"b1.safe', "line 7: 'b1.safetensors' does not exist"),
        ('data = "photos"', 'calib = "none.npz"', "line 4: 'none.npz' does not exist"),
        ("b0 = ", "b1 = ", "line 7: weights for b1, which is none of the variants; allowed: lite0, b0"),
        ('"quick"', '"fast"', "line 10: unknown protocol 'fast'"),
        ("threads =", "thread =", "line 11: benchmark.thread: Extra inputs are not permitted; allowed: protocol"),
        ("[1, 4]", "[0]", "line 11: benchmark.threads.0: Input should be greater than or equal to 1"),
        ('data = "photos"', 'check = ["npu"]', "line 4: unknown target 'npu'; allowed: edgetpu, xnnpack, gpu"),
        ('data = "photos"', "samples = 3", "line 4: samples: Input should be greater than or equal to 16"),
        ('data = "photos"', 'data = "photos', "is no TOML: Illegal character"),
    ],
)
def test_a_fault_is_told_with_its_line(old: str, new: str, message: str, tmp_path: Path) -> None:
    path = tmp_path / "sweep.toml"
    assert old in GOOD
    path.write_text(GOOD.replace(old, new))
    with pytest.raises(InputError) as caught:
        read_grid(path)
    assert str(caught.value).startswith(str(path))
    assert message in str(caught.value)


def test_values_of_a_script_are_held_to_the_same_rules() -> None:
    with pytest.raises(InputError, match=r"^samples: Input should be a valid integer"):
        grid_of_values({"variants": ["lite0"], "samples": "many"})


def test_two_names_of_one_device_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("devices.toml").write_text('[devices.pi4]\naddress = "ssh://pi@host"\n')
    with pytest.raises(InputError, match="pi4 and ssh://pi@host are one device"):
        grid_of_values({"variants": ["lite0"], "devices": ["pi4", "ssh://pi@host"]})


def test_a_file_that_is_not_there() -> None:
    with pytest.raises(InputError, match=r"cannot read nowhere\.toml: No such file or directory"):
        read_grid(Path("nowhere.toml"))
