"""Keys within one process: what changed between two sweeps is seen, however often it was looked at before."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path

from benchmarks.sweep.data import open_data
from benchmarks.sweep.keys import calibration_stamp, weights_sha256
from edgenet.labelled.classes import Classes
from edgenet.weights.cache import file_digest
from tests.networks import CLASSES
from tests.sweep.small_sweep import class_folders


def test_weights_that_were_replaced_have_another_hash(tmp_path: Path) -> None:
    path = tmp_path / "weights.safetensors"
    seen = []
    for content in (b"first", b"second"):
        path.write_bytes(content)
        seen.append(weights_sha256(str(path)))
        assert seen[-1] == weights_sha256(str(path)) == file_digest(path)
    assert seen[0] != seen[1]
    assert weights_sha256("packaged") == ""


def test_calibration_photos_that_changed_are_others(tmp_path: Path) -> None:
    folder = class_folders(tmp_path, 3)
    before = calibration_stamp(str(folder))
    assert calibration_stamp(str(folder)) == before
    (folder / "1" / "1.png").write_bytes((folder / "2" / "2.png").read_bytes())
    assert calibration_stamp(str(folder)) != before
    assert calibration_stamp("builtin") == ""


def test_a_single_shard_that_was_rewritten_is_other_data(tmp_path: Path) -> None:
    seen = []
    for word in (b"first", b"second one"):
        with tarfile.open(tmp_path / "shard.tar", "w") as shard:
            for name, content in (("a.png", word), ("a.cls", b"3")):
                member = tarfile.TarInfo(name)
                member.size = len(content)
                shard.addfile(member, io.BytesIO(content))
        seen.append(open_data(str(tmp_path / "shard.tar"), Classes(CLASSES)).identity)
    assert seen[0] != seen[1]
