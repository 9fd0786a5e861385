"""Hold the memory of `edgenet evaluate` on many images against that on few.

    python -m benchmarks.peers.evaluation_memory PHOTOS [--images 20000] [--json]

PHOTOS is a folder of photos with a labels.csv. They lie in class folders, and the many are links to the few under other
names; then all of them in tar shards, the many of which are links to one. The command runs in a process of its own.
Memory is the sum of the peak resident sizes (VmHWM) of that process and its workers.
"""

from __future__ import annotations

import csv
import subprocess
import sys
import tarfile
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

from benchmarks.peers.ratios import arguments, exit_with, machine, positive, show, shown
from converters.api import convert
from edgenet.datasets import LABELS_NAME
from edgenet.errors import InputError

BAR_BYTES = 50_000_000
IMAGES = 20_000
POLL_S = 0.1
WORKER = b"spawn_main"  # in the command line of a process that multiprocessing started


@dataclass(frozen=True)
class Growth:
    """Peak memory with few and with many images."""

    what: str
    few_bytes: int
    many_bytes: int

    @property
    def reached(self) -> bool:
        """Return whether the difference is within the bar."""
        return self.many_bytes - self.few_bytes <= BAR_BYTES

    def cells(self) -> tuple[str, ...]:
        """Return the row of the table: many, few, their difference."""
        difference = shown(self.many_bytes - self.few_bytes, "bytes")
        mark = f"<= {shown(BAR_BYTES, 'bytes')} {'ok' if self.reached else 'MISSED'}"
        return (self.what, shown(self.many_bytes, "bytes"), shown(self.few_bytes, "bytes"), difference, "", mark)

    def document(self) -> dict[str, Any]:
        """Return the row of the JSON document."""
        figures = {"few_peak_rss_bytes": self.few_bytes, "many_peak_rss_bytes": self.many_bytes}
        return {"what": self.what, **figures, "bar_bytes": BAR_BYTES, "reached": self.reached}


def peak_bytes(command: list[str]) -> int:
    """Run a command and return the peak memory of it and of its workers; raise CalledProcessError if it fails."""
    peaks: dict[int, int] = {}
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        while process.poll() is None:
            for pid in (process.pid, *_workers(process.pid)):
                peaks[pid] = max(peaks.get(pid, 0), _peak_bytes_of(pid))
            time.sleep(POLL_S)
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, command)
    return sum(peaks.values())


def _workers(parent: int) -> list[int]:
    children = Path(f"/proc/{parent}/task/{parent}/children")
    try:
        pids = [int(word) for word in children.read_text(encoding="ascii").split()]
        return [pid for pid in pids if WORKER in Path(f"/proc/{pid}/cmdline").read_bytes()]
    except OSError:  # which ended meanwhile
        return []


def _peak_bytes_of(pid: int) -> int:
    try:
        lines = Path(f"/proc/{pid}/status").read_text(encoding="utf-8").splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM:")), 0)


def class_folders(photos: list[tuple[Path, str]], count: int, folder: Path) -> str:
    """Link `count` photos into folders named by class index; return what --data takes."""
    for number in range(count):
        path, index = photos[number % len(photos)]
        place = folder / index
        place.mkdir(parents=True, exist_ok=True)
        (place / f"{number}{path.suffix}").symlink_to(path)
    return str(folder)


def tar_shards(photos: list[tuple[Path, str]], count: int, folder: Path) -> str:
    """Write the photos as one shard, with as many links to it as `count` asks for; return what --data takes."""
    folder.mkdir()
    shard = folder / "0.tar"
    with tarfile.open(shard, "w") as tar:
        for number, (path, index) in enumerate(photos):
            for suffix, content in ((path.suffix.lower(), path.read_bytes()), (".cls", index.encode())):
                row = tarfile.TarInfo(f"{number:06}{suffix}")
                row.size = len(content)
                tar.addfile(row, BytesIO(content))
    for number in range(1, count // len(photos)):
        (folder / f"{number}.tar").symlink_to(shard)
    return f"{folder}/*.tar"


KINDS: dict[str, Callable[[list[tuple[Path, str]], int, Path], str]] = {
    "class folders": class_folders,
    "tar shards": tar_shards,
}


def main() -> int:
    """Print the growth; return the exit code."""
    parser = arguments(str(__doc__), rounds=1)
    parser.add_argument("photos", type=Path, metavar="PHOTOS", help="photos with a labels.csv")
    parser.add_argument("--images", type=positive, default=IMAGES, metavar="N", help=f"the many (default {IMAGES})")
    given, host = parser.parse_args(), machine()
    photos = _labelled(given.photos)
    rows = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        [artifact] = convert("lite0", "w8a8", out=folder)
        for number, (kind, make) in enumerate(KINDS.items()):
            few, many = (make(photos, count, folder / f"{number}-{count}") for count in (len(photos), given.images))
            peaks = [peak_bytes(_command(artifact.path, data)) for data in (few, many)]
            rows.append(Growth(kind, *peaks))
    notes = [f"{given.images} and {len(photos)} images, lite0 w8a8"]
    return show("evaluation_memory", host, rows, notes, given.json, "ours: many images; theirs: few; ratio: difference")


def _labelled(folder: Path) -> list[tuple[Path, str]]:
    try:
        with (folder / LABELS_NAME).open(encoding="utf-8", newline="") as stream:
            return [(folder.resolve() / row["file"], row["class_index"]) for row in csv.DictReader(stream)]
    except OSError as error:
        raise InputError(
            f"cannot read {folder / LABELS_NAME}: {error.strerror}", mend="name labelled photos"
        ) from error


def _command(model: Path, data: str) -> list[str]:
    return [sys.executable, "-m", "edgenet", "evaluate", str(model), "--data", data]


if __name__ == "__main__":
    exit_with(main)
