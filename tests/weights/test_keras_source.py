"""Keras' files: downloaded whole and with the published MD5, or not at all."""

import hashlib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from edgenet.errors import InputError, MissingError
from edgenet.variants import VARIANTS
from edgenet.weights import keras_source
from edgenet.weights.keras_source import KERAS_FILES, cached_keras_file, download_keras_file, keras_path
from tests.weights.file_server import FileServer, serving

B0 = VARIANTS["b0"]
CONTENT = bytes(range(256)) * 10_000
SERVED = "/keras-applications/efficientnetb0.h5"


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Use a cache of the test's own, and CONTENT's MD5 as the published one."""
    monkeypatch.setenv("EDGENET_CACHE", str(tmp_path / "cache"))
    row = replace(KERAS_FILES["b0"], md5=hashlib.md5(CONTENT).hexdigest())
    monkeypatch.setitem(keras_source.KERAS_FILES, "b0", row)
    return tmp_path / "cache"


@pytest.fixture
def server() -> Iterator[FileServer]:
    """Serve CONTENT where Keras has its file."""
    with serving({SERVED: CONTENT}) as state:
        yield state


def names(folder: Path) -> list[str]:
    """Return every file in the cache."""
    return sorted(path.name for path in folder.rglob("*") if path.is_file())


def test_a_download_is_whole_checked_and_cached(server: FileServer, cache: Path) -> None:
    said: list[str] = []
    assert cached_keras_file(B0) is None
    path = download_keras_file(B0, said.append, server.url)
    assert path.read_bytes() == CONTENT
    assert cached_keras_file(B0) == path
    assert names(cache) == ["efficientnetb0.h5"]
    assert said[-1].endswith("100 % of 3 MB") and server.requests == [f"GET {SERVED}"]


def test_a_connection_that_breaks_leaves_nothing(server: FileServer, cache: Path) -> None:
    server.cut_short = True
    with pytest.raises(MissingError, match="cannot download"):
        download_keras_file(B0, lambda _: None, server.url)
    assert names(cache) == []


def test_what_is_not_the_published_file_is_not_kept(server: FileServer, cache: Path) -> None:
    server.files = {SERVED: CONTENT + b"!"}
    with pytest.raises(MissingError, match="did not arrive as published: md5"):
        download_keras_file(B0, lambda _: None, server.url)
    assert names(cache) == []


def test_an_absent_file_and_a_dead_server(server: FileServer) -> None:
    server.files = {}
    with pytest.raises(MissingError, match="404"):
        download_keras_file(B0, lambda _: None, server.url)
    with pytest.raises(MissingError, match="cannot download"):
        download_keras_file(B0, lambda _: None, "http://127.0.0.1:1")


def test_an_interrupt_leaves_nothing(server: FileServer, cache: Path) -> None:
    def interrupt(_: str) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        download_keras_file(B0, interrupt, server.url)
    assert names(cache) == []


def test_an_altered_cached_file_is_refused(server: FileServer) -> None:
    path = download_keras_file(B0, lambda _: None, server.url)
    path.write_bytes(CONTENT[:-1])
    with pytest.raises(InputError, match=r"was altered: md5 .*; delete it"):
        cached_keras_file(B0)


def test_a_cache_that_cannot_be_written_is_one_clear_line(
    server: FileServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("EDGENET_CACHE", str(tmp_path / "file" / "cache"))
    with pytest.raises(MissingError, match=r"cannot write .*efficientnetb0.h5.*EDGENET_CACHE"):
        download_keras_file(B0, lambda _: None, server.url)


def test_keras_has_no_lite() -> None:
    with pytest.raises(MissingError, match="Keras publishes no weights of lite0; allowed: b0, b1"):
        download_keras_file(VARIANTS["lite0"], lambda _: None)


def test_v2_files_lie_in_a_folder_of_their_own() -> None:
    row = KERAS_FILES["v2-s"]
    assert (row.folder, row.file) == ("tensorflow/keras-applications/efficientnet_v2", "efficientnetv2-s.h5")
    assert keras_path(row).name == row.file
