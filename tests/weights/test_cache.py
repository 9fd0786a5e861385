"""The cache folder and files that appear whole or not at all."""

import hashlib
import sys
from pathlib import Path

import pytest

from edgenet.errors import MissingError
from edgenet.weights.cache import Pin, cache_folder, file_digest, read_pin, write_pin, written_whole


def test_the_folder_can_be_chosen(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("EDGENET_CACHE", str(tmp_path))
    assert cache_folder() == tmp_path


@pytest.mark.skipif(sys.platform != "linux", reason="the other systems have folders of their own")
def test_the_default_folder_follows_xdg(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("EDGENET_CACHE", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache_folder() == tmp_path / "edgenet"
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert cache_folder() == Path.home() / ".cache" / "edgenet"


def test_a_file_is_replaced_only_when_the_block_ends_well(tmp_path: Path) -> None:
    path = tmp_path / "new" / "file"
    with written_whole(path) as file:
        file.write(b"first")
        assert not path.exists()
    with pytest.raises(KeyboardInterrupt), written_whole(path) as file:
        file.write(b"second")
        raise KeyboardInterrupt
    assert path.read_bytes() == b"first" and [p.name for p in path.parent.iterdir()] == ["file"]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_full_disk_is_one_clear_line(tmp_path: Path) -> None:
    with (
        pytest.raises(MissingError, match=r"cannot write .*No space left on device; make room"),
        written_whole(tmp_path / "file"),
        Path("/dev/full").open("wb", buffering=0) as full,
    ):
        full.write(b"x")
    assert list(tmp_path.iterdir()) == []


def test_pins_are_kept(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("EDGENET_CACHE", str(tmp_path))
    assert read_pin("timm/x") is None
    write_pin(Pin("timm/x", "c" * 40, "d" * 64, 5))
    assert read_pin("timm/x") == Pin("timm/x", "c" * 40, "d" * 64, 5)


def test_digests(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"abc" * 1_000_000)
    assert file_digest(tmp_path / "a") == hashlib.sha256(b"abc" * 1_000_000).hexdigest()
    assert file_digest(tmp_path / "a", "md5") == hashlib.md5(b"abc" * 1_000_000).hexdigest()
