"""Where benchmark_model comes from: what is downloaded, what is refused, and for which processor it is."""

import hashlib
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from devices import binary_source
from devices.binary_source import AARCH64, ARM, RISCV64, X86, X86_64, binary_file, check_processor
from edgenet.errors import EdgenetError, InputError, MissingError
from edgenet.progress import silent
from tests.devices.https_server import Page, Site, https_server

CONTENT = b"\x7fELF" + bytes(range(256)) * 4000
SHA256 = hashlib.sha256(CONTENT).hexdigest()
PAGES = {
    "/tool": Page(CONTENT),
    "/moved": Page(status=302, location="/tool"),
    "/leak": Page(status=302, location="http://127.0.0.1:1/tool"),
    "/file": Page(status=302, location="file:///etc/passwd"),
    "/huge": Page(CONTENT, length=300_000_000),
    "/short": Page(CONTENT, length=len(CONTENT) + 1),
}


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    monkeypatch.setenv("EDGENET_CACHE", str(tmp_path / "cache"))
    with https_server(tmp_path, PAGES, monkeypatch) as site:
        yield site


def kept(tmp_path: Path) -> list[str]:
    return sorted(path.name for path in (tmp_path / "cache").rglob("*") if path.is_file())


@pytest.mark.parametrize("page", ["/tool", "/moved"])
def test_a_download_is_checked_and_kept(site: Site, tmp_path: Path, page: str) -> None:
    told: list[tuple[int, int]] = []
    source = f"{site.url}{page}#sha256={SHA256.upper()}"
    path = binary_file(source, lambda step, done, total: told.append((done, total)))
    assert path.read_bytes() == CONTENT and path == tmp_path / "cache" / "binaries" / SHA256
    assert told[-1] == (len(CONTENT), len(CONTENT))
    asked = len(site.asked)
    assert binary_file(source, silent) == path and len(site.asked) == asked


def test_a_kept_file_that_was_altered_is_downloaded_again(site: Site, tmp_path: Path) -> None:
    source = f"{site.url}/tool#sha256={SHA256}"
    binary_file(source, silent).write_bytes(b"something else")
    assert binary_file(source, silent).read_bytes() == CONTENT


REFUSED: dict[str, tuple[str, type[EdgenetError], str]] = {
    "another content": ("/tool#sha256=" + "0" * 64, InputError, f"is not what was asked for.*{SHA256}"),
    "no checksum": ("/tool", InputError, r"has no checksum; allowed: https://\.\.\.#sha256=HEX"),
    "half a checksum": ("/tool#sha256=abc", InputError, "has no checksum"),
    "a redirect to plain HTTP": (f"/leak#sha256={SHA256}", InputError, "leads to http://127.0.0.1:1/tool"),
    "a redirect to a file": (f"/file#sha256={SHA256}", MissingError, "Redirection to url 'file:///etc/passwd'"),
    "too large": (f"/huge#sha256={SHA256}", InputError, "has over 200 MB"),
    "cut off": (f"/short#sha256={SHA256}", MissingError, f"{len(CONTENT)} of {len(CONTENT) + 1} bytes came"),
    "not there": (f"/none#sha256={SHA256}", MissingError, "404"),
}


@pytest.mark.parametrize(("page", "error", "message"), REFUSED.values(), ids=REFUSED)
def test_downloads_that_are_refused(
    site: Site, tmp_path: Path, page: str, error: type[EdgenetError], message: str
) -> None:
    with pytest.raises(error, match=message) as caught:
        binary_file(site.url + page, silent)
    assert type(caught.value) is error
    assert kept(tmp_path) == []


def test_more_than_was_announced(site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(binary_source, "LARGEST_BYTES", 1000)
    with pytest.raises(InputError, match="has over 0 MB"):
        binary_file(f"{site.url}/tool#sha256={SHA256}", silent)
    assert kept(tmp_path) == []


def test_a_server_that_nobody_vouches_for(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SSL_CERT_FILE")
    with pytest.raises(MissingError, match="CERTIFICATE_VERIFY_FAILED"):
        binary_file(f"{site.url}/tool#sha256={SHA256}", silent)


@pytest.mark.parametrize("address", ["http://example.org/tool", "ftp://example.org/tool", "file:///etc/passwd"])
def test_only_encrypted_addresses(address: str) -> None:
    with pytest.raises(InputError, match="is not encrypted"):
        binary_file(f"{address}#sha256={SHA256}", silent)


def test_a_path(tmp_path: Path) -> None:
    assert binary_file(sys.executable, silent) == Path(sys.executable)
    for path in (tmp_path, tmp_path / "nothing"):
        with pytest.raises(InputError, match=f"there is no file {re.escape(str(path))}"):
            binary_file(str(path), silent)


KINDS = {"aarch64": AARCH64, "arm": ARM, "x86_64": X86_64, "x86": X86, "riscv64": RISCV64}


def elf(kind: tuple[int, int], elf_type: int = 3) -> bytes:
    """Return the beginning of an ELF file (its specification's figure 1-3)."""
    number, bits = kind
    return (
        b"\x7fELF" + bytes([bits // 32, 1, 1, *[0] * 9]) + elf_type.to_bytes(2, "little") + number.to_bytes(2, "little")
    )


RUNS_ON = {
    "aarch64": "aarch64",
    "armv7l": "arm",
    "armv8l": "arm",
    "x86_64": "x86_64",
    "i686": "x86",
    "riscv64": "riscv64",
}


@pytest.mark.parametrize("machine", RUNS_ON)
def test_processors(tmp_path: Path, machine: str) -> None:
    path = tmp_path / "tool"
    for name, kind in KINDS.items():
        path.write_bytes(elf(kind))
        if name == RUNS_ON[machine]:
            check_processor(path, machine)
        else:
            with pytest.raises(InputError, match=rf"is for .*, the device is {machine}; allowed: .*; take the build"):
                check_processor(path, machine)


NO_PROGRAM = {
    "empty": b"",
    "a script": b"#!/bin/sh\necho Inference timings in us\n",
    "another system's": b"MZ" + bytes(100),
    "big-endian": elf(AARCH64).replace(b"\x02\x01\x01", b"\x02\x02\x01", 1),
    "an object file": elf(AARCH64, elf_type=1),
    "cut off": elf(AARCH64)[:18],
    "a processor without a name": elf((1234, 64)),
}


@pytest.mark.parametrize("content", NO_PROGRAM.values(), ids=NO_PROGRAM)
def test_what_is_no_program(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "tool").write_bytes(content)
    with pytest.raises(InputError, match="tool is "):
        check_processor(tmp_path / "tool", "aarch64")


def test_a_device_of_an_unknown_kind(tmp_path: Path) -> None:
    (tmp_path / "tool").write_bytes(elf(AARCH64))
    with pytest.raises(InputError, match=r"known for s390x; allowed: aarch64, "):
        check_processor(tmp_path / "tool", "s390x")
