"""A folder on a device that programs work in, with files from here and back, and that is gone afterwards.

It belongs to a script that runs on the device as long as the folder is wanted. Where the connection breaks, the script
reads no more or cannot write any more, ends what it started and removes the folder by itself: nobody has to come back
for it.
"""

from __future__ import annotations

import shutil
import tempfile
import time
import uuid
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path, PurePosixPath
from types import TracebackType

from devices.base import Device, DeviceFull, DeviceLost, DeviceTimeout, Finished, Process
from devices.plain_text import plain
from devices.ssh_scripts import script
from edgenet.errors import EdgenetError, GateFailed, InputError, MissingError
from edgenet.progress import Report

OUTPUT = "output"  # the file that a program's standard output and error go to
START_S = 60.0
SILENCE_S = 60.0  # it gives a sign several times a second
BLOCK_BYTES = 4 << 20
BLOCK_S = 300.0  # for one block, which a slow line takes minutes for
SHORT_S = 60.0
ULIMIT_BLOCK_BYTES = 512  # POSIX's unit
FULL = ("No space left", "uota exceeded")

# $1 the folder, $2 the most blocks that a file may take. Reads "run N" and N lines of arguments; answers "ready",
# "tick" while a program runs, and "ended STATUS". What it started shares its process group, for the end of all.
ROOM = f"""LC_ALL=C; export LC_ALL; umask 077
room=$1 worker=
end() {{
  trap '' HUP INT TERM PIPE
  cd /
  [ -z "$worker" ] || kill -s TERM 0
  rm -rf -- "$room" 2>/dev/null || {{ sleep 1; rm -rf -- "$room"; }}
  [ -z "$worker" ] || kill -s KILL 0
}}
mkdir -- "$room" && cd -- "$room" || exit 1
trap '' PIPE
trap 'end; exit 1' HUP INT TERM
trap end EXIT
ulimit -f "$2" || exit 1
echo ready || exit 1
while read -r word count; do
  set --
  while [ "$count" -gt 0 ]; do
    IFS= read -r argument || exit 1
    set -- "$@" "$argument"
    count=$((count - 1))
  done
  {{ "$@" </dev/null >{OUTPUT} 2>&1; echo "$?" >.status.new; mv .status.new .status; }} &
  worker=$!
  until [ -f .status ]; do
    sleep 0.2 2>/dev/null || sleep 1
    echo tick || exit 1
  done
  wait "$worker"; worker=
  read -r status <.status
  rm -f .status
  echo "ended $status" || exit 1
done
"""
# $1 the folder, $2 the name: appends what comes, and tells how much is there.
RECEIVE = """cd -- "$1" && cat >>"$2" && wc -c <"$2"
"""
# $1 the folder, $2.. names: the size and the name of each that is a plain file.
SIZES = """cd -- "$1" || exit 1; shift
for name; do [ -f "$name" ] && [ ! -h "$name" ] && echo "$(wc -c <"$name") $name"; done; exit 0
"""


class Workroom:
    """A folder below the device's private one, for as long as the block lasts; no file in it may grow over a limit."""

    def __init__(self, device: Device, largest_bytes: int, report: Report) -> None:
        self._device, self._report, self._largest_bytes = device, report, largest_bytes
        self.folder = PurePosixPath()
        self._process: Process
        self._answers: Iterator[str]

    def __enter__(self) -> Workroom:
        """Connect if need be, and make the folder; raise MissingError, DeviceLost."""
        self._report(f"connecting {self._device.address}", 0, 1)
        self.folder = self._device.describe().home / f"work-{uuid.uuid4().hex}"
        blocks = -(-self._largest_bytes // ULIMIT_BLOCK_BYTES)
        self._process = self._device.start(script(ROOM, str(self.folder), str(blocks)))
        self._answers = self._process.lines(max(START_S, SILENCE_S))
        try:
            if next(self._answers, "") != "ready":
                raise self._refused("make a folder", self._process.finish(SHORT_S))
        except BaseException:
            self._process.kill()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Remove the folder, and end what still runs in it."""
        if error is None:
            self._process.finish(SHORT_S)
            return
        self._process.kill()
        if not isinstance(error, DeviceLost):  # then the script does it, as soon as the connection's end reaches it
            with suppress(EdgenetError):  # the device has gone meanwhile: the first error says more
                self._device.remove(self.folder)

    def make_folder(self, name: str) -> None:
        """Make a folder in the room; raise DeviceFull, MissingError, DeviceLost."""
        done = self._device.run(["mkdir", "--", str(self.folder / name)], SHORT_S)
        if done.status:
            raise self._refused(f"make {name}", done)

    def send(self, name: str, source: Path) -> None:
        """Bring a file of this machine there; raise InputError, DeviceFull, DeviceLost."""
        try:
            total = source.stat().st_size
            with source.open("rb") as file:
                for done in range(0, max(1, total), BLOCK_BYTES):
                    self._report(f"copying {source.name}", done, total)
                    self._send_block(name, file.read(BLOCK_BYTES), min(total, done + BLOCK_BYTES))
        except OSError as error:
            raise InputError(f"cannot read {source}: {error.strerror}", mend="name a file") from error
        self._report(f"copying {source.name}", total, total)

    def _send_block(self, name: str, content: bytes, there_then: int) -> None:
        done = self._device.run(script(RECEIVE, str(self.folder), name), BLOCK_S, content)
        if done.status:
            raise self._refused(f"take {name}", done)
        if done.stdout.strip() != str(there_then):
            raise InputError(f"{name} changed while it was sent, or did not come whole", mend="try again")

    def run(self, arguments: Sequence[str], timeout_s: float, step: str) -> int:
        """Run a program in the folder and return its exit status (127: there is none of that name).

        What it prints goes to the file OUTPUT. Raise DeviceTimeout (and leave it to the block's end to end it).
        """
        if any("\n" in word or "\0" in word for word in arguments):
            raise InputError("an argument holds a line break", allowed="one line each")
        self._process.send("\n".join([f"run {len(arguments)}", *arguments]))
        begun_s = time.monotonic()
        for line in self._answers:
            past_s = time.monotonic() - begun_s
            word, _, status = line.partition(" ")
            if word == "ended" and status.isascii() and status.isdecimal() and len(status) <= 3:
                self._report(step, round(past_s), round(past_s))
                return int(status)
            if word != "tick":
                raise InputError(f"{self._device.address} answers {plain(line[:80])!r}", mend="see what its sh prints")
            if past_s > timeout_s:
                name = PurePosixPath(arguments[0]).name
                what = f"{name} on {self._device.address} ran over {timeout_s:g} s and was ended"
                raise DeviceTimeout(what, mend="give it more --timeout")
            self._report(step, round(past_s), round(timeout_s))
        raise self._refused("go on", self._process.finish(SHORT_S))

    def sizes(self, names: Sequence[str]) -> dict[str, int]:
        """Return the size in bytes of each plain file among names relative to the folder."""
        done = self._device.run(script(SIZES, str(self.folder), *names), SHORT_S)
        if done.status:
            raise self._refused("list its files", done)
        pairs = (line.split(" ", 1) for line in done.stdout.splitlines())
        return {name: int(size) for size, name in pairs if name in names and size.isascii() and size.isdecimal()}

    def fetch(self, name: str, size_bytes: int) -> bytes:
        """Return a file's content, of the size that `sizes` gave; raise GateFailed for one over the folder's limit."""
        if size_bytes > self._largest_bytes:
            raise GateFailed(f"{name} has {size_bytes} bytes", allowed=f"at most {self._largest_bytes}")
        if size_bytes > BLOCK_BYTES:
            self._report(f"fetching {name}", 0, 1)
        with tempfile.TemporaryDirectory(prefix="edgenet-") as folder:
            place = Path(folder) / "file"
            if shutil.disk_usage(folder).free < size_bytes:
                raise InputError(f"no space for {name} in {folder}", mend=f"{size_bytes / 1e6:.1f} MB are needed there")
            self._device.pull(self.folder / name, place)
            content = place.read_bytes()
        if len(content) != size_bytes:
            raise InputError(f"{name} changed while it was fetched", mend="try again")
        return content

    def _refused(self, task: str, done: Finished) -> EdgenetError:
        said = plain(done.stderr or done.stdout) or f"status {done.status}"
        if any(word in done.stderr for word in FULL):
            mend = f"make room there, or remove what edgenet keeps: edgenet devices clean {self._device.address}"
            return DeviceFull(f"no space left on {self._device.address}: it could not {task}", mend=mend)
        return MissingError(
            f"{self._device.address} could not {task}: {said}", mend="try again; a POSIX sh is needed there"
        )
