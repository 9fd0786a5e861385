"""The environment record, read from a board's files; the governor set, and set back whatever happens."""

import json
import os
import platform
import signal
import stat
import subprocess
import sys
import time
from pathlib import Path

import pytest

from devices.on_device.board import board_facts, emulated_by
from devices.on_device.governor import GovernorError, Governors, write_governor
from devices.on_device.state import StateReader, decode_throttled
from tests.devices.board_files import JETSON, PI_4, board

POLICY = "sys/devices/system/cpu/cpufreq/policy0/scaling_governor"


def test_a_pi_is_described(tmp_path: Path) -> None:
    facts = board_facts(board(tmp_path, PI_4))
    assert {key: facts[key] for key in ("model", "soc", "processor", "memory_bytes", "system")} == {
        "model": "Raspberry Pi 4 Model B Rev 1.4",
        "soc": "brcm,bcm2711",
        "processor": "4 x Cortex-A72",
        "memory_bytes": 3884340 * 1024,
        "system": "Debian GNU/Linux 12 (bookworm)",
    }


def test_a_pis_state_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    firmware = tmp_path / "bin" / "vcgencmd"
    firmware.parent.mkdir()
    firmware.write_text("#!/bin/sh\necho throttled=0x50005\n")
    firmware.chmod(0o700)
    monkeypatch.setenv("PATH", f"{firmware.parent}:{os.environ['PATH']}")
    state = StateReader(board(tmp_path, PI_4), time.perf_counter())
    snapshot = state.snapshot()
    assert 0 <= float(str(snapshot.pop("at_s"))) < 5
    assert snapshot == {
        "governors": ["ondemand"],
        "frequencies_hz": [1_500_000_000],
        "max_frequencies_hz": [1_800_000_000],
        "temperatures_c": {"cpu-thermal (0)": 48.199},
        "throttled": {
            "raw": 0x50005,
            "now": ["under-voltage", "throttled"],
            "since_boot": ["under-voltage", "throttled"],
        },
        "memory_available_bytes": 3204100 * 1024,
        "load_average": [0.52, 0.58, 0.59],
        "power_w": None,
    }
    assert state.usb_bits_per_s() == {"Coral (2-1)": 5e9}
    assert state.power_source is None


@pytest.mark.parametrize(
    ("raw", "now", "since_boot"),
    [
        (0x0, [], []),
        (0x1, ["under-voltage"], []),
        (0x20000, [], ["frequency capped"]),
        (0x80008, ["soft temperature limit"], ["soft temperature limit"]),
        (0xE0006, ["frequency capped", "throttled"], ["frequency capped", "throttled", "soft temperature limit"]),
    ],
)
def test_throttling_is_decoded(raw: int, now: list[str], since_boot: list[str]) -> None:
    """The bits as in the Raspberry Pi documentation of `vcgencmd get_throttled`."""
    assert decode_throttled(raw) == {"raw": raw, "now": now, "since_boot": since_boot}


def test_a_jetsons_meter_is_read_once(tmp_path: Path) -> None:
    """The board's total, not the total and its parts; a sensor without a current is no meter."""
    state = StateReader(board(tmp_path, JETSON), time.perf_counter())
    assert state.power_source == "ina3221/VDD_IN"
    assert state.snapshot()["power_w"] == pytest.approx(5.064)


def test_digits_that_the_kernel_does_not_write_are_no_number(tmp_path: Path) -> None:
    odd = {name: "\u00b2" for name in PI_4 if name.endswith(("_freq", "/temp"))}
    snapshot = StateReader(board(tmp_path, {**PI_4, **odd}), time.perf_counter()).snapshot()
    assert (snapshot["frequencies_hz"], snapshot["temperatures_c"]) == ([], {})


def test_a_machine_that_tells_nothing_is_described_by_nothing(tmp_path: Path) -> None:
    snapshot = StateReader(tmp_path, time.perf_counter()).snapshot()
    assert {key for key, value in snapshot.items() if value} <= {"at_s", "throttled"}
    facts = board_facts(tmp_path)
    assert (facts["model"], facts["soc"], facts["processor"], facts["memory_bytes"]) == ("", "", "", 0)


def test_this_machine_is_not_emulated() -> None:
    assert emulated_by() == ""


def test_an_emulated_processor_shows_in_its_children(monkeypatch: pytest.MonkeyPatch) -> None:
    """What qemu-user cannot hide: the program of another process is the emulator, of the host's kind."""
    if platform.machine() != "x86_64":
        pytest.skip("the host is not x86-64")
    monkeypatch.setattr(platform, "machine", lambda: "aarch64")
    assert emulated_by().endswith("(x86_64)")
    monkeypatch.setattr(platform, "machine", lambda: "i686")
    assert emulated_by().endswith("(x86_64)")


class Kept:
    """Governors of a board below a folder, with the file that remembers them."""

    def __init__(self, folder: Path) -> None:
        self.root = board(folder / "root", PI_4)
        self.record = folder / "governors.json"
        self.governors = Governors(self.root, self.record)

    @property
    def now(self) -> str:
        """What the governor is."""
        return (self.root / POLICY).read_text().strip()


@pytest.fixture
def kept(tmp_path: Path) -> Kept:
    """Return the governors of a Pi."""
    return Kept(tmp_path)


def test_the_governor_is_set_and_set_back(kept: Kept) -> None:
    kept.governors.fix()
    assert kept.now == "performance"
    assert list(json.loads(kept.record.read_text()).values()) == ["ondemand"]
    kept.governors.restore()
    assert kept.now == "ondemand"
    assert not kept.record.exists()
    kept.governors.restore()  # once more does nothing


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_the_governor_is_set_back_after_a_crash(kept: Kept, number: signal.Signals) -> None:
    program = (
        "import sys, time; from pathlib import Path; from devices.on_device.governor import Governors\n"
        "Governors(Path(sys.argv[1]), Path(sys.argv[2])).fix(); print('fixed', flush=True); time.sleep(60)"
    )
    arguments = [sys.executable, "-c", program, str(kept.root), str(kept.record)]
    with subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True) as session:
        assert session.stdout is not None and session.stdout.readline() == "fixed\n"
        assert kept.now == "performance"
        session.send_signal(number)
    deadline_s = time.monotonic() + 10
    while kept.now != "ondemand" or kept.record.exists():
        assert time.monotonic() < deadline_s, "the governor was not set back"
        time.sleep(0.02)


def test_what_a_killed_guard_left_is_set_back_by_the_next_session(kept: Kept) -> None:
    kept.record.write_text(json.dumps({str(kept.root / POLICY): "schedutil"}))
    assert kept.governors.restore_left_over()
    assert kept.now == "schedutil"
    assert not kept.governors.restore_left_over()


def test_a_governor_that_stands_right_is_left_alone(kept: Kept) -> None:
    (kept.root / POLICY).write_text("performance\n")
    kept.governors.fix()
    assert not kept.record.exists()


def test_no_governor_and_no_permission_are_told(tmp_path: Path, kept: Kept, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(GovernorError, match="no cpufreq governor"):
        Governors(tmp_path / "empty", tmp_path / "record").fix()
    refusing = tmp_path / "bin" / "sudo"
    refusing.parent.mkdir()
    refusing.write_text("#!/bin/sh\nexit 1\n")
    refusing.chmod(stat.S_IRWXU)
    monkeypatch.setenv("PATH", str(refusing.parent), prepend=":")
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    with pytest.raises(GovernorError, match=r"cannot set the governor .*NOPASSWD"):
        kept.governors.fix()


def test_sudo_is_given_the_path_as_an_argument(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What sudo is called with, seen by a double of it: nothing passes through a shell."""
    seen = tmp_path / "seen"
    double = tmp_path / "sudo"
    double.write_text(f'#!/bin/sh\nprintf "%s\\n" "$@" > "{seen}"\nshift 2\ncat > "$1"\n')
    double.chmod(stat.S_IRWXU)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    governor = tmp_path / "a policy; touch wrong"
    governor.write_text("ondemand")
    write_governor(governor, "performance")
    assert seen.read_text().splitlines() == ["-n", "tee", str(governor)]
    assert governor.read_text() == "performance"
