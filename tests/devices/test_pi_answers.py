"""lite0 with its ImageNet weights on an emulated 64-bit Raspberry Pi: Arm's kernels against this machine's."""

import shutil
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import edgenet
from converters.procedural import procedural_image
from tests.devices.emulated_pi import emulated_pi, missing

pytestmark = pytest.mark.slow
IMAGES = 12
MOST_STEPS = 10  # of 256


@dataclass(frozen=True)
class Board:
    architecture: str
    machine: str
    version: str
    note: str


BOARDS = [
    Board("arm64", "aarch64", "ai-edge-litert", "emulated by"),
    # Its wheel is built without XNNPACK.
    Board("armhf", "armv7l", "tflite-runtime 2.14.0", "XNNPACK took no node there"),
]


@pytest.mark.parametrize("board", BOARDS, ids=lambda board: board.architecture)
def test_lite0_answers_on_arm_as_here(board: Board, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if reason := missing(board.architecture):
        pytest.skip(reason)
    photos, home = tmp_path / "photos", tmp_path / "home"
    photos.mkdir()
    for index in range(IMAGES):
        Image.fromarray(procedural_image(index, 224, 3)).save(photos / f"{index:02}.png")
    edgenet.convert("lite0", "w8a8", out=tmp_path / "lite0", verify=False)
    monkeypatch.setenv("HOME", str(home))
    for name in ("XDG_CACHE_HOME", "XDG_CONFIG_HOME", "SSH_AUTH_SOCK"):
        monkeypatch.delenv(name, raising=False)
    with emulated_pi(tmp_path / "pi", board.architecture) as pi:
        (home / ".ssh").mkdir(mode=0o700, parents=True)
        shutil.copy(pi.ssh_config, home / ".ssh" / "config")
        table = edgenet.verify_runtimes(tmp_path / "lite0", photos, runtimes="xnnpack,builtin", devices=["ssh://pi"])
        assert pi.wait_until_idle() == []
    assert [row.runtime for row in table.rows] == ["xnnpack", "builtin", "xnnpack @ ssh://pi", "builtin @ ssh://pi"]
    here, _, there, _ = table.rows
    assert here.agreement and there.agreement
    assert there.machine == board.machine
    assert there.version.startswith(board.version)
    assert "emulated by qemu" in there.note and board.note in there.note
    assert there.difference is not None and there.difference <= MOST_STEPS
    assert table.pairs[0][2] is not None and table.pairs[0][2] >= 1 - 1 / IMAGES
    assert abs(here.agreement.sqnr_db - there.agreement.sqnr_db) < 1
    assert np.isfinite(there.agreement.max_abs_error)
