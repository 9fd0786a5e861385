"""A file on which the HDF5 library dies or never ends becomes one error of ours."""

import os
from pathlib import Path

import pytest

from edgenet.errors import InputError
from edgenet.weights import hdf5_guard
from edgenet.weights.hdf5_guard import refuse_deadly


def program(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the child do something else than read: no damaged file dies alike in every version of the library."""
    monkeypatch.setattr(hdf5_guard, "_PROGRAM", text)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A file that is there."""
    path = tmp_path / "a.h5"
    path.write_bytes(b"\0" * 100)
    return path


def test_a_reader_that_never_ends_is_stopped(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program("while True: pass", monkeypatch)
    with pytest.raises(InputError, match=r"a\.h5 is damaged: the HDF5 library did not finish reading it in 1 s"):
        refuse_deadly(file, start_s=1.0)


@pytest.mark.skipif(os.name != "posix", reason="signals end processes on POSIX systems")
def test_a_reader_that_dies_is_reported(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program("import os; os.abort()", monkeypatch)
    with pytest.raises(InputError, match=r"the HDF5 library died reading it \(exit status -6\)"):
        refuse_deadly(file)


def test_an_exception_is_left_to_the_caller(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program("raise ValueError", monkeypatch)
    assert refuse_deadly(file) is None  # type: ignore[func-returns-value]  # that it returns is what is tested


def test_the_child_finds_this_package_and_reads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The real program, with an exit status that only a reader that got that far can give."""
    program(hdf5_guard._PROGRAM.replace("read_arrays(Path", "print(read_arrays); sys.exit(3); (Path"), monkeypatch)
    (tmp_path / "a.h5").write_bytes(b"")
    with pytest.raises(InputError, match="exit status 3"):
        refuse_deadly(tmp_path / "a.h5")
