"""A sweep's folder: what comes back, what counts as damaged, and who may use it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.sweep.store import DATABASE_NAME, Ran, open_store, peek_store
from edgenet.errors import InputError, MissingError

STEP = Ran("convert", "lite0-fp32", "ab" * 32, 1.5)
HOLD = """import sys
from pathlib import Path
from benchmarks.sweep.store import open_store
with open_store(Path(sys.argv[1]), print):
    print("open", flush=True)
    sys.stdin.read()
"""
KEEP_FOR_EVER = """import sys
from pathlib import Path
from benchmarks.sweep.store import Ran, open_store
with open_store(Path(sys.argv[1]), print) as store:
    for number in range(10**9):
        store.keep(Ran("check", f"n{number}", f"{number:064}", 0.1), {"n": number}, {"a.bin": b"%d" % number})
        print(number, flush=True)
"""


def test_a_step_comes_back_as_it_was_kept(tmp_path: Path) -> None:
    with open_store(tmp_path / "new", print) as store:
        assert store.find(STEP.key) is None
        kept = store.keep(STEP, {"number": 0.1, "text": "ä"}, {"a.bin": b"123"})
    with open_store(tmp_path / "new", print) as store:
        assert store.find(STEP.key) == kept
        assert kept.document == {"number": 0.1, "text": "ä"}
        assert kept.files[0].read_bytes() == b"123"
        assert store.durations() == [("convert", "lite0-fp32", 1.5)]
    with peek_store(tmp_path / "new") as seen:
        assert seen and seen.find(STEP.key) == kept
    with peek_store(tmp_path / "none") as nothing:
        assert nothing is None


@pytest.mark.parametrize(
    ("harm", "told"),
    [
        (lambda path: path.write_bytes(b"124"), "a.bin is not what was written (sha256 differs); it is made anew"),
        (lambda path: path.unlink(), "a.bin is missing; it is made anew"),
        (lambda path: (path.rename(path.with_name("b")), path.symlink_to("b")), "a.bin is missing"),
    ],
    ids=["other bytes", "gone", "a link"],
)
def test_a_damaged_entry_counts_as_not_there(harm, told: str, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    lines: list[str] = []
    with open_store(tmp_path, lines.append) as store:
        kept = store.keep(STEP, {}, {"a.bin": b"123"})
        harm(kept.files[0])
        assert store.find(STEP.key) is None
        assert len(lines) == 1 and told in lines[0]
        assert store.keep(STEP, {}, {"a.bin": b"123"}) == store.find(STEP.key)


def test_a_flipped_byte_in_the_database_is_found(tmp_path: Path) -> None:
    lines: list[str] = []
    with open_store(tmp_path, lines.append) as store:
        store.keep(STEP, {"accuracy": 12345}, {})
    path = tmp_path / DATABASE_NAME
    content = path.read_bytes()
    assert content.count(b"12345") == 1
    path.write_bytes(content.replace(b"12345", b"12346"))
    with open_store(tmp_path, lines.append) as store:
        assert store.find(STEP.key) is None
    assert lines == ["convert lite0-fp32: its record is damaged; it is made anew"]


def test_a_file_that_is_no_database_is_refused_with_a_way_out(tmp_path: Path) -> None:
    (tmp_path / DATABASE_NAME).write_bytes(b"no database" * 1000)
    refused = pytest.raises(InputError, match=r"sweep\.db: file is not a database; move sweep\.db away")
    with refused, open_store(tmp_path, print):
        pass


def test_the_second_sweep_in_a_folder_is_refused_and_told_of_the_first(tmp_path: Path) -> None:
    first = subprocess.Popen([sys.executable, "-c", HOLD, tmp_path], stdin=-1, stdout=-1, text=True)
    assert first.stdout and first.stdout.readline() == "open\n"
    refused = pytest.raises(MissingError, match=rf"is in use by process {first.pid} on .* since 20")
    with refused, open_store(tmp_path, print):
        pass
    first.kill()
    first.communicate()
    with open_store(tmp_path, print) as store:  # whose lock went with it
        assert store.durations() == []


def test_what_was_kept_before_a_kill_is_there(tmp_path: Path) -> None:
    process = subprocess.Popen([sys.executable, "-c", KEEP_FOR_EVER, tmp_path], stdout=-1, text=True)
    assert process.stdout
    while int(process.stdout.readline()) < 20:
        pass
    process.kill()
    last = ["20", *process.communicate()[0].split("\n")[:-1]][-1]  # of the whole lines
    with open_store(tmp_path, print) as store:
        for number in range(int(last) + 1):
            entry = store.find(f"{number:064}")
            assert entry and entry.document == {"n": number}


@pytest.mark.skipif(not hasattr(os, "geteuid"), reason="no limit on file sizes on this system to stand for a full disk")
def test_a_full_disk_keeps_what_was_there(tmp_path: Path) -> None:
    with open_store(tmp_path, print) as store:
        kept = store.keep(STEP, {}, {"a.bin": b"123"})
    program = f"""import resource, signal, sys
from pathlib import Path
from benchmarks.sweep.store import Ran, open_store
from edgenet.errors import InputError
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
with open_store(Path({str(tmp_path)!r}), print) as store:
    # Stands for a full disk: the kernel refuses every byte behind the first 100 000 of a file.
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
    for files, shard in (({{"b.bin": bytes(200_000)}}, ""), ({{}}, "x" * 200_000)):
        try:
            store.keep(Ran("check", "big", "cd" * 32, 0.1), {{"shard": shard}}, files)
        except InputError as error:
            print("refused:", error)
"""
    answer = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert answer.stdout.count("refused: ") == 2, answer
    with open_store(tmp_path, print) as store:
        assert store.find(STEP.key) == kept
        assert store.find("cd" * 32) is None
