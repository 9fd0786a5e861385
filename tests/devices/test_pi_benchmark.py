"""`edgenet` on emulated Raspberry Pis over SSH, 64 and 32 bits: set up, measured, marked as emulated, cleaned."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from benchmarks.read import read_results
from benchmarks.result import BenchmarkRecord
from converters import conversion
from edgenet.progress import silent
from tests.devices.emulated_pi import Pi, emulated_pi, missing
from tests.devices.pi_root import ARCHITECTURES
from tests.networks import small_variant

pytestmark = pytest.mark.slow
ROOT = Path(__file__).resolve().parents[2]
FP32, W8A8 = "lite0-fp32-random.tflite", "lite0-w8a8-random.tflite"
GOVERNOR = "/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor"


@dataclass(frozen=True)
class Expected:
    machine: str
    runtime: str
    applied: tuple[str, str]  # of fp32 and w8a8


# The wheel for armv7l is built without XNNPACK.
EXPECTED = {
    "arm64": Expected("aarch64", "ai-edge-litert", ("XNNPACK", "XNNPACK")),
    "armhf": Expected("armv7l", "tflite-runtime", ("", "")),
}


@dataclass(frozen=True)
class Bench:
    """A board, and the folder and home of who measures on it."""

    pi: Pi
    folder: Path
    home: Path

    def run(self, *arguments: str, code: int = 0) -> str:
        """Run one edgenet command and return what it printed."""
        environment = {**os.environ, "HOME": str(self.home), "PYTHONPATH": str(ROOT)}
        for name in ("XDG_CACHE_HOME", "XDG_CONFIG_HOME", "SSH_AUTH_SOCK"):
            environment.pop(name, None)
        done = subprocess.run(
            [sys.executable, "-m", "edgenet", *arguments],
            cwd=self.folder,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
            timeout=600,
        )
        assert done.returncode == code, done.stdout
        return done.stdout

    def results(self, name: str) -> list[BenchmarkRecord]:
        """Return the results in a folder."""
        return [result for _, result in read_results(self.folder / name)]


@pytest.fixture(scope="module", params=ARCHITECTURES)
def bench(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    """Return a board as it comes from the factory: with Python, and without a TFLite runtime."""
    if reason := missing(request.param):
        pytest.skip(reason)
    folder, home = tmp_path_factory.mktemp("models"), tmp_path_factory.mktemp("home")
    formats = (("fp32", "float32"), ("w8a8", "uint8"))
    request_ = conversion.Request(small_variant("lite"), formats, "random", "builtin", 16, 0, 10, None)  # type: ignore[arg-type]  # formats are literals
    conversion.run(request_, folder, False, (), silent, lambda text: None)
    with emulated_pi(tmp_path_factory.mktemp("pi"), request.param, runtime_installed=False) as pi:
        (home / ".ssh").mkdir(mode=0o700)
        shutil.copy(pi.ssh_config, home / ".ssh" / "config")
        yield Bench(pi, folder, home)


def test_it_is_set_up_from_here_while_it_has_no_network(bench: Bench) -> None:
    before = bench.run("devices", "check", "ssh://pi", code=3)
    assert EXPECTED[bench.pi.architecture].machine in before
    assert "no TFLite runtime; edgenet devices setup ssh://pi" in before
    bench.run("devices", "setup", "ssh://pi", "--offline")
    assert EXPECTED[bench.pi.architecture].runtime.replace("-", "_") in bench.run("devices", "check", "ssh://pi")


def test_what_is_measured_there_is_marked_as_emulated(bench: Bench) -> None:
    bench.pi.throttle(0x50005)
    expected = EXPECTED[bench.pi.architecture]
    said = bench.run("benchmark", FP32, W8A8, "--device", "ssh://pi", "--protocol", "quick", "--out", "first")
    assert "EMULATED" in said
    fp32, w8a8 = bench.results("first")
    for result, applied in zip((fp32, w8a8), expected.applied, strict=True):
        assert result.provenance == "emulated"
        assert result.device.model == ARCHITECTURES[bench.pi.architecture].model
        assert (result.device.machine, result.device.runtime.name) == (expected.machine, expected.runtime)
        (row,) = result.measurements
        assert row.golden and row.golden.passed
        assert row.delegate.applied == applied
        assert {"emulated", "governor", "throttled"} <= {warning.code for warning in result.warnings}
        assert ("delegate_missing" in {warning.code for warning in result.warnings}) == (applied == "")
        assert result.environment.before.governors == ("ondemand",)
        throttled = result.environment.before.throttled
        assert throttled and throttled.now == ("under-voltage", "throttled")
    assert bench.pi.wait_until_idle() == []


def test_the_governor_is_set_and_set_back(bench: Bench) -> None:
    governor = bench.pi.seen(GOVERNOR)
    governor.chmod(0o666)  # as an administrator may allow it
    bench.run("benchmark", FP32, "--device", "ssh://pi", "--protocol", "quick", "--fix-governor", "--out", "fixed")
    (result,) = bench.results("fixed")
    assert {name for row in result.environment.during for name in row.governors} == {"performance"}
    assert governor.read_text().strip() == "ondemand"


def test_everything_goes_when_it_is_cleaned(bench: Bench) -> None:
    bench.run("devices", "clean", "ssh://pi")
    left = [path for path in bench.pi.seen("/home/pi/.cache/edgenet").rglob("*") if path.is_file()]
    assert left == []
