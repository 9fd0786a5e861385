"""`benchmark --delegate edgetpu`: sysfs as Corals show it, and a double of libedgetpu under the real runtime."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from benchmarks.page_facts import environment_facts
from benchmarks.read import read_results
from benchmarks.result import EdgeTpuDeviceRecord, EdgeTpuLibraryRecord, EdgeTpuRecord
from converters.check.graph import read_graph
from converters.runtime import Runner
from devices.on_device import edgetpu
from devices.on_device.edgetpu import (
    edgetpu_devices,
    edgetpu_temperatures_c,
    edgetpu_trouble,
    how_to_install,
    installed_package,
)
from edgenet.artifact import Golden, find_artifacts, sha256, write_artifact
from tests.compile.compiled_shape import compiled
from tests.devices.ssh_user import users_home
from tests.devices.sshd import missing, sshd
from tests.results import environment
from tests.test_artifact import write_small
from tests.verbs import Run, verb

USB = {"idVendor": "1a6e", "idProduct": "089a", "speed": "480", "busnum": "2", "devnum": "3"}
READY = {**USB, "idVendor": "18d1", "idProduct": "9302", "speed": "5000", "devnum": "14"}
APEX = {
    "temp": "91100", "trip_point0_temp": "84800", "trip_point1_temp": "89800", "trip_point2_temp": "94800",
    "hw_temp_warn1": "99800", "hw_temp_warn2": "104800",
    "device/current_link_speed": "5.0 GT/s PCIe", "device/current_link_width": "1",
}  # fmt: skip


def sysfs(root: Path, place: str, files: Mapping[str, str]) -> Path:
    """Write files as the kernel shows them, each ended by a line feed; return the root."""
    for name, text in files.items():
        path = root / "sys" / place / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"{text}\n")
    return root


def test_a_usb_accelerator_before_and_after_its_first_use(tmp_path: Path) -> None:
    sysfs(tmp_path, "bus/usb/devices/2-1", USB)
    sysfs(tmp_path, "bus/usb/devices/2-1:1.0", {"bInterfaceNumber": "00"})
    sysfs(tmp_path, "bus/usb/devices/1-4", {"idVendor": "046d", "idProduct": "c31c", "speed": "1.5"})
    (row,) = edgetpu_devices(tmp_path)
    assert (row["bus"], row["place"], row["has_firmware"], row["bits_per_s"]) == ("usb", "2-1", False, 480e6)
    sysfs(tmp_path, "bus/usb/devices/2-1", READY)
    (row,) = edgetpu_devices(tmp_path)
    assert (row["has_firmware"], row["bits_per_s"], row["node"]) == (True, 5e9, "/dev/bus/usb/002/014")


def test_a_pcie_module(tmp_path: Path) -> None:
    sysfs(tmp_path, "class/apex/apex_0", APEX)
    sysfs(tmp_path, "class/apex/apex_1", {"temp": "45000"})
    first, second = edgetpu_devices(tmp_path)
    assert first == {
        "bus": "pcie", "place": "apex_0", "node": "/dev/apex_0", "has_firmware": True, "bits_per_s": None,
        "link": "5.0 GT/s PCIe x1", "trip_points_c": [84.8, 89.8, 94.8], "warnings_c": [99.8, 104.8],
    }  # fmt: skip
    assert (second["link"], second["trip_points_c"]) == ("", [])
    assert edgetpu_temperatures_c(tmp_path) == {"Edge TPU (apex_0)": 91.1, "Edge TPU (apex_1)": 45.0}


@pytest.mark.parametrize("text", ["", "-1", "hot", "9" * 400, "1.2.3", "٣"])
def test_what_the_kernel_does_not_write_is_no_number(text: str, tmp_path: Path) -> None:
    sysfs(tmp_path, "class/apex/apex_0", {"temp": text, "trip_point0_temp": text})
    sysfs(tmp_path, "bus/usb/devices/1-1", {**USB, "speed": text})
    (usb, pcie) = edgetpu_devices(tmp_path)
    assert (usb["bits_per_s"], pcie["trip_points_c"], edgetpu_temperatures_c(tmp_path)) == (None, [], {})


def test_a_machine_without_one(tmp_path: Path) -> None:
    assert edgetpu_devices(tmp_path) == []
    assert edgetpu_temperatures_c(tmp_path) == {}


@pytest.mark.parametrize("clock", ["std", "max"])
def test_the_package_tells_the_clock(clock: str, tmp_path: Path) -> None:
    listing = tmp_path / f"var/lib/dpkg/info/libedgetpu1-{clock}:arm64.list"
    listing.parent.mkdir(parents=True)
    listing.write_text("/.\n/usr\n/lib/aarch64-linux-gnu\n/usr/lib/aarch64-linux-gnu/libedgetpu.so.1.0\n")
    assert installed_package(tmp_path, "/usr/lib/aarch64-linux-gnu/libedgetpu.so.1.0") == f"libedgetpu1-{clock}"
    assert installed_package(tmp_path, "/opt/mine/libedgetpu.so.1") == ""
    assert (
        edgetpu._clock_of_build(f"/x/libedgetpu/{'throttled' if clock == 'std' else 'direct'}/k8/libedgetpu.so.1")
        == clock
    )


SYSTEMS = {
    "debian": ("ID=raspbian\nID_LIKE=debian\n", "linux", "sudo apt-get install libedgetpu1-std"),
    "fedora": ("ID=fedora\n", "linux", "run ldconfig"),
    "macOS": ("", "darwin", "brew install libusb"),
    "Windows": ("", "win32", "install.bat"),
}


@pytest.mark.parametrize("name", SYSTEMS)
def test_each_system_is_told_its_own_mend(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    release, platform, says = SYSTEMS[name]
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc" / "os-release").write_text(release)
    monkeypatch.setattr("sys.platform", platform)
    assert says in how_to_install(tmp_path)


# --- with a double of libedgetpu ---

COMPILER = shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")
needs_compiler = pytest.mark.skipif(COMPILER is None, reason="no C compiler to build the double of libedgetpu with")


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the double as libedgetpu.so.1 in a folder of a build at full clock."""
    folder = tmp_path_factory.mktemp("double") / "direct"
    folder.mkdir()
    source = Path(__file__).with_name("edgetpu_double.c")
    command = [str(COMPILER), "-shared", "-fPIC", "-O1", "-o", str(folder / "libedgetpu.so.1"), str(source)]
    subprocess.run(command, check=True)
    return folder


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return an artifact in the compiler's shape whose golden vectors are what the double answers."""
    (source,) = write_small(tmp_path_factory.mktemp("source"), ["w8a8"])
    made = compiled(source.path.read_bytes(), taken=len(read_graph(source.path.read_bytes()).operators))
    pixels = np.random.default_rng(0).integers(0, 200, (3, 64, 64, 3), dtype=np.uint8)
    return _artifact(tmp_path_factory.mktemp("model"), source.path, made, pixels)


def _artifact(folder: Path, source: Path, content: bytes, pixels: NDArray[np.uint8]) -> Path:
    (artifact,) = find_artifacts(source)
    side_px, output = artifact.manifest.side_px, Runner(source.read_bytes()).outputs[0]
    pixels = pixels[:, :1, :1].repeat(side_px, 1).repeat(side_px, 2)
    classes = output.shape[-1]
    bytes_ = pixels.reshape(len(pixels), -1)[:, :classes].astype(np.float32)
    logits = (np.float32(output.scale) * (bytes_ - output.zero_point)).astype(np.float32)
    changes = {"file": "lite0_edgetpu.tflite", "sha256": sha256(content), "size_bytes": len(content), "golden": "g.npz"}
    manifest = artifact.manifest.model_copy(update=changes)
    return write_artifact(folder, content, Golden(pixels, logits, logits + np.float32(0.01)), manifest).path


@pytest.fixture
def run(library: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    monkeypatch.setenv("LD_LIBRARY_PATH", str(library))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    return verb("benchmark", capsys)


WORDS = ("--delegate", "edgetpu", "--protocol", "quick", "--out", "out")


@needs_compiler
def test_the_chip_runs_it(run: Run, model: Path, library: Path, tmp_path: Path) -> None:
    done = run(model, *WORDS)
    assert done.code == 0, done.err
    ((_, result),) = read_results(tmp_path / "out")
    (row,) = result.measurements
    assert (row.delegate.applied, row.delegate.delegated_nodes, row.delegate.nodes) == ("Edge TPU", 1, 1)
    record = result.environment.edgetpu
    assert record is not None
    assert record.library.path == str(library / "libedgetpu.so.1")
    assert (record.library.version, record.library.clock) == ("A double of libedgetpu, RuntimeVersion(14)", "max")
    assert len(record.library.sha256) == 64
    assert all(start.first_inference_s > 0.06 for start in row.cold_starts), "the upload of the parameters"
    assert 0.002 < row.statistics.median_s < 0.06, "without it"
    assert row.golden is not None
    assert (row.golden.passed, row.golden.equal_share, row.golden.most_steps) == (True, 1.0, 0)
    assert "  first inference " in done.out and " ms (the parameters go to the chip), then " in done.out
    assert "  answers beside those of a CPU: 100.0 % equal to the bit, none off by more than 0 steps" in done.out
    assert "clock max; A double of libedgetpu, RuntimeVersion(14)" in done.out


@needs_compiler
@pytest.mark.parametrize(
    ("off", "code", "says"),
    [
        (1, 0, "0.0 % equal to the bit, none off by more than 1 steps"),
        (50, 1, "answers wrongly on this device: logits are off by"),
    ],
)
def test_answers_that_are_off(
    off: int, code: int, says: str, run: Run, model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EDGETPU_DOUBLE", str(off))
    done = run(model, *WORDS)
    assert (done.code, says in done.out + done.err) == (code, True), done.err


@needs_compiler
@pytest.mark.skipif(bool(missing()), reason=missing())
def test_on_a_board_over_ssh(
    model: Path, library: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    python = f'#!/bin/sh\nexec {sys.executable} "$@"\n'
    settings = {"LD_LIBRARY_PATH": str(library)}
    with sshd(tmp_path / "board", set_env=settings, commands={"python3": python}) as board:
        users_home(tmp_path / "user", board.ssh_config.read_text(), monkeypatch)
        done = verb("benchmark", capsys)(model, *WORDS[:-1], tmp_path / "out", "--device", "ssh://device")
        assert done.code == 0, done.err
        assert board.wait_until_idle() == []
    ((_, result),) = read_results(tmp_path / "out")
    assert result.environment.edgetpu is not None
    assert result.environment.edgetpu.library.path == str(library / "libedgetpu.so.1")
    assert result.measurements[0].golden is not None
    assert result.measurements[0].golden.equal_share == 1.0


@needs_compiler
def test_no_chip(run: Run, model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EDGETPU_DOUBLE", "absent")
    done = run(model, *WORDS)
    assert done.code == 3
    line = done.err.splitlines()[-1]
    if not edgetpu_devices(Path("/")):
        assert "libedgetpu.so.1 is here, but no Edge TPU: none on USB (1a6e:089a or 18d1:9302)" in line


@needs_compiler
@pytest.mark.parametrize(
    ("place", "files", "node", "says"),
    [
        ("bus/usb/devices/2-1", READY, "", "may not be opened by this user: sudo usermod -aG plugdev $USER"),
        ("class/apex/apex_0", APEX, "", "may not be opened by this user: sudo usermod -aG apex $USER"),
        ("class/apex/apex_0", APEX, "dev/apex_0", "found the Edge TPU at apex_0 and could not use it (busy): end what"),
    ],
)
def test_a_chip_that_cannot_be_used(
    place: str, files: Mapping[str, str], node: str, says: str, library: Path, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setattr(edgetpu, "edgetpu_library_name", lambda: str(library / "libedgetpu.so.1"))
    sysfs(tmp_path, place, files)
    if node:
        (tmp_path / node).parent.mkdir()
        (tmp_path / node).touch()
    assert says in edgetpu_trouble(tmp_path, "busy")


def test_no_library(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    if (
        shutil.which("ldconfig")
        and "libedgetpu" in subprocess.run(["ldconfig", "-p"], capture_output=True, text=True).stdout
    ):
        pytest.skip("libedgetpu is installed here")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    done = verb("benchmark", capsys)(model, *WORDS[:-1], tmp_path / "out")
    assert done.code == 3
    assert "no libedgetpu.so.1 here (libedgetpu.so.1: cannot open shared object file" in done.err
    assert list((tmp_path / "out").iterdir()) == []


def test_files_that_do_not_fit_the_delegate(model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (plain,) = write_small(tmp_path / "plain", ["w8a8"])
    run = verb("benchmark", capsys)
    done = run(plain.path, "--delegate", "edgetpu")
    assert (done.code, "is not compiled: nothing of it would run on an Edge TPU; edgenet compile" in done.err) == (
        2,
        True,
    )
    done = run(model)
    assert (done.code, "is compiled for the Edge TPU; allowed: --delegate edgetpu" in done.err) == (2, True)


def test_a_record_holds_what_the_kernel_shows(tmp_path: Path) -> None:
    sysfs(tmp_path, "class/apex/apex_0", APEX)
    sysfs(tmp_path, "bus/usb/devices/2-1", READY)
    rows = [EdgeTpuDeviceRecord.model_validate_json(json.dumps(row)) for row in edgetpu_devices(tmp_path)]
    library = EdgeTpuLibraryRecord(path="/x", sha256="", version="", package="libedgetpu1-std", clock="std")
    facts = dict(environment_facts(environment(edgetpu=EdgeTpuRecord(library=library, devices=tuple(rows)))))
    assert facts["Edge TPU"] == (
        "libedgetpu1-std: clock std; version not told; USB 2-1 at 5,000 Mbit/s; "
        "PCIe apex_0, 5.0 GT/s PCIe x1; slows itself down at 84.8, 89.8, 94.8 °C"
    )
