"""Where a device's benchmark_model comes from: a file, or a download whose checksum the user gives.

Whatever comes is a program that a device will run, so nothing is downloaded without its SHA-256, nor over plain HTTP,
and it has to be an ELF executable for the device's processor before it is sent there.
"""

from __future__ import annotations

import hashlib
import http.client
import re
import urllib.error
import urllib.request
from collections.abc import Iterator
from email.message import Message
from pathlib import Path
from typing import IO

from edgenet.errors import InputError, MissingError
from edgenet.progress import Report
from edgenet.weights.cache import CHUNK_BYTES, cache_folder, file_digest, written_whole

HTTPS = "https://"
CHECKED_URL = re.compile(r"(https://[^\s#]+)#sha256=([0-9a-fA-F]{64})")
FORM = "https://...#sha256=HEX (64 digits)"
LARGEST_BYTES = 200_000_000  # benchmark_model has some 5 to 20 MB, with all its symbols 100
TIMEOUT_S = 30.0

# e_machine and class (ELF specification and its processor supplements) by what `uname -m` says.
AARCH64, ARM, X86_64, X86, RISCV64 = (183, 64), (40, 32), (62, 64), (3, 32), (243, 64)
NAMES = {AARCH64: "aarch64", ARM: "32-bit ARM", X86_64: "x86_64", X86: "32-bit x86", RISCV64: "riscv64"}
KINDS = {
    "aarch64": AARCH64,
    "arm64": AARCH64,
    "armv8l": ARM,
    "armv7l": ARM,
    "armv6l": ARM,
    "x86_64": X86_64,
    "i686": X86,
    "i386": X86,
    "riscv64": RISCV64,
}
ELF_HEADER_BYTES = 20
LITTLE_ENDIAN = 1
EXECUTABLE, POSITION_INDEPENDENT = 2, 3  # e_type


def binary_file(source: str, report: Report) -> Path:
    """Return the file of a path or of an address with its checksum, downloading it once; raise InputError."""
    if "://" not in source:
        path = Path(source).expanduser()
        if not path.is_file():
            raise InputError(f"there is no file {source}", mend=f"name benchmark_model's path, or {FORM}")
        return path
    found = CHECKED_URL.fullmatch(source)
    if not found:
        why = "has no checksum" if source.startswith(HTTPS) else "is not encrypted"
        raise InputError(f"{source} {why}", allowed=FORM, mend="sha256sum of a copy that you trust gives HEX")
    return _downloaded(found[1], found[2].lower(), report)


def check_processor(path: Path, machine: str) -> None:
    """See that a file is an ELF executable for a machine as `uname -m` names it; raise InputError."""
    with path.open("rb") as file:
        header = file.read(ELF_HEADER_BYTES)
    if len(header) < ELF_HEADER_BYTES or not header.startswith(b"\x7fELF") or header[5] != LITTLE_ENDIAN:
        raise InputError(f"{path} is no program of a Linux or Android device", allowed="a little-endian ELF file")
    kind = int.from_bytes(header[18:20], "little"), 32 * header[4]
    if int.from_bytes(header[16:18], "little") not in (EXECUTABLE, POSITION_INDEPENDENT):
        raise InputError(f"{path} is an ELF file, but no executable", allowed="an executable")
    if machine not in KINDS:
        raise InputError(f"no benchmark_model is known for {machine}", allowed=", ".join(KINDS))
    if kind != KINDS[machine]:
        raise InputError(
            f"{path} is for {NAMES.get(kind, f'processor number {kind[0]}')}, the device is {machine}",
            allowed=NAMES[KINDS[machine]],
            mend="take the build for the device's processor",
        )


def _downloaded(url: str, sha256: str, report: Report) -> Path:
    path = cache_folder() / "binaries" / sha256
    if path.is_file() and file_digest(path) == sha256:
        return path
    total = hashlib.sha256()
    with written_whole(path) as file:
        for chunk in _chunks(url, report):
            file.write(chunk)
            total.update(chunk)
        if total.hexdigest() != sha256:
            raise InputError(
                f"{url} is not what was asked for: its SHA-256 is {total.hexdigest()}",
                allowed=sha256,
                mend="ask who built it for its checksum",
            )
    return path


class _OnlyEncrypted(urllib.request.HTTPRedirectHandler):
    def redirect_request(
        self, req: urllib.request.Request, fp: IO[bytes], code: int, msg: str, headers: Message, newurl: str
    ) -> urllib.request.Request | None:
        if not newurl.startswith(HTTPS):
            fp.close()
            raise InputError(f"{req.full_url} leads to {newurl}", allowed=HTTPS, mend="name the final address")
        return super().redirect_request(req, fp, code, msg, headers, newurl)  # type: ignore[arg-type]  # http.client's


def _chunks(url: str, report: Report) -> Iterator[bytes]:
    """Yield what an address gives; raise MissingError for any failure of the network, InputError for too much."""
    opener = urllib.request.build_opener(_OnlyEncrypted)
    try:
        with opener.open(url, timeout=TIMEOUT_S) as response:
            total_bytes, done_bytes = int(response.headers.get("Content-Length") or 0), 0
            while chunk := response.read(CHUNK_BYTES):
                done_bytes += len(chunk)
                if max(done_bytes, total_bytes) > LARGEST_BYTES:
                    raise InputError(f"{url} has over {LARGEST_BYTES / 1e6:.0f} MB", allowed="a benchmark_model")
                report(f"downloading {url.rpartition('/')[2]}", done_bytes, total_bytes)
                yield chunk
            if done_bytes < total_bytes:
                raise MissingError(f"cannot download {url}: {done_bytes} of {total_bytes} bytes came", mend="try again")
    except (OSError, http.client.HTTPException, ValueError) as error:
        if isinstance(error, urllib.error.HTTPError):
            error.close()  # it holds the connection
        raise MissingError(f"cannot download {url}: {error}", mend="see whether the address is right") from error
