"""`edgenet benchmark --binary` on a phone without Python, by a double of benchmark_model: no real one can be had.

End to end the real adb client speaks to a device side written for these tests, where tests/devices/benchmark_double.py
runs: its answers to golden inputs are real, its times are made up. What only a text can bring about is tried on the
shipped fake, which prints what a test tells it to.
"""

from __future__ import annotations

import os
import platform
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from pathlib import Path

import pytest

import edgenet
from benchmarks import measure as measure_module
from benchmarks.phone_state import PhoneState
from benchmarks.plan import Plan, find_models
from benchmarks.protocol import PROTOCOLS, parse_protocol
from benchmarks.result import BenchmarkRecord
from converters import conversion
from devices.adb import HOME, AdbDevice
from devices.address import Address
from devices.base import Finished
from devices.fake import FakeDevice, described
from devices.shell_lock import shell_lock
from edgenet.__main__ import main
from edgenet.errors import EdgenetError, GateFailed, InputError
from edgenet.progress import silent
from edgenet.weights.cache import file_digest
from tests.devices import benchmark_double
from tests.devices.adbd import Adbd, adbd, missing
from tests.devices.benchmark_texts import LITERT, OLD
from tests.devices.test_adb import use_server
from tests.networks import small_variant

ROOT = Path(__file__).resolve().parent.parent
SITE = os.pathsep.join(path for path in sys.path if path.endswith("site-packages"))
FP32, W8A8 = "lite0-fp32-random.tflite", "lite0-w8a8-random.tflite"
QUICK = ("--protocol", "quick")
WHY_NOT = missing() or ("" if platform.machine() in benchmark_double.MACHINES else "no double for this processor")
on_a_phone = pytest.mark.skipif(bool(WHY_NOT), reason=WHY_NOT)


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with a small network as fp32 and w8a8 artifacts."""
    folder = tmp_path_factory.mktemp("models")
    request = conversion.Request(
        small_variant("lite"), (("fp32", "float32"), ("w8a8", "uint8")), "random", "builtin", 16, 0, 10, None
    )
    conversion.run(request, folder, False, (), silent, lambda text: None)
    return folder


@pytest.fixture(scope="module")
def phone(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Adbd]:
    """Return a phone without Python, which has the double's script of each mode."""
    scripts = {f"double-{mode}": benchmark_double.script(mode, SITE) for mode in benchmark_double.MODES}
    visible = [Path(place) for place in SITE.split(os.pathsep)]
    folder = tmp_path_factory.mktemp("phone")
    with adbd(folder, commands=scripts, visible=visible) as phone, pytest.MonkeyPatch.context() as monkeypatch:
        use_server(phone, monkeypatch)
        yield phone


@dataclass(frozen=True)
class Bench:
    """A folder with models and binaries, and a phone."""

    folder: Path
    phone: Adbd
    capture: pytest.CaptureFixture[str]

    def run(self, *arguments: str, code: int = 0) -> str:
        """Run one benchmark in this process and return what it says on stderr; check its exit code."""
        status = main(["benchmark", *arguments])
        said = self.capture.readouterr()
        assert status == code, said.err
        assert self.phone.wait_until_idle() == []
        assert not self.phone.seen(str(HOME / "lock")).exists()
        return said.err

    @property
    def device(self) -> tuple[str, str]:
        return ("--device", f"adb:{self.phone.serial}")

    @property
    def results(self) -> list[BenchmarkRecord]:
        return [
            BenchmarkRecord.model_validate_json(path.read_bytes())
            for path in sorted(self.folder.glob("*.benchmark.json"))
        ]


@pytest.fixture
def bench(
    models: Path, phone: Adbd, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Bench:
    folder = tmp_path / "work"
    shutil.copytree(models, folder)
    for mode in benchmark_double.MODES:
        content = benchmark_double.launcher(f"/system/bin/double-{mode}", platform.machine())
        (folder / mode).write_bytes(content)
    monkeypatch.chdir(folder)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setattr(sys, "argv", ["edgenet", "benchmark"])
    return Bench(folder, phone, capsys)


@on_a_phone
def test_two_files_take_turns(bench: Bench) -> None:
    before = datetime.now(timezone.utc).replace(microsecond=0)
    said = bench.run(FP32, W8A8, "--binary", "litert", "--threads", "1,2", *bench.device, *QUICK)
    after = datetime.now(timezone.utc)
    fp32, w8a8 = bench.results
    assert (fp32.device.kind, fp32.device.address) == ("adb", f"adb:{bench.phone.serial}")
    runtime = fp32.device.runtime
    assert (runtime.name, runtime.python_version) == ("benchmark_model", "")
    assert runtime.sha256 == file_digest(bench.folder / "litert")
    assert (fp32.model.variant, fp32.model.precision) == ("lite0", "fp32")
    assert fp32.model.sha256 == file_digest(bench.folder / FP32)
    assert fp32.session.id == w8a8.session.id
    # At the start, by the host's clock: a day's results sort by it.
    started = datetime.fromisoformat(fp32.session.started_at.replace("Z", "+00:00"))
    last_s = max(block.start_s for row in fp32.measurements for block in row.blocks)
    assert before <= started and (after - started).total_seconds() >= last_s > 1
    assert f"MemTotal: {fp32.device.memory_bytes // 1024:>14} kB" in Path("/proc/meminfo").read_text()
    for row in (*fp32.measurements, *w8a8.measurements):
        assert row.golden and row.golden.passed and row.golden.images == 3 and row.golden.max_abs_error < 1e-3
        assert {len(block.samples_s) for block in row.blocks} == {3} and row.statistics.count >= 20
        assert (row.delegate.applied, row.delegate.partitions) == ("XNNPACK", 1)
        assert [op.name for op in row.ops] == ["[stem]:0", "[head]:1"] and row.ops_note == ""
        assert len(row.cold_starts) == 1 and row.cold_starts[0].load_s > 0
    assert [row.setting.threads for row in fp32.measurements] == [1, 2]
    turns = sorted((block.start_s, name) for name, result in (("a", fp32), ("b", w8a8))
                   for block in result.measurements[0].blocks)  # fmt: skip
    assert "".join(name for _, name in turns).startswith("ababab")
    (one, two) = edgenet.compare(fp32, w8a8)
    assert one.verdict == two.verdict == "faster"
    codes = {warning.code for warning in (*fp32.warnings, *w8a8.warnings)}
    assert not codes & {"too_few_runs", "slow_clock", "unchecked", "delegate_missing", "little_memory"}, said
    assert all(path.stat().st_mode & 0o077 == 0 for path in bench.phone.seen(str(HOME)).rglob("*"))
    # Neither the inputs nor the answers of the golden check stay there.
    assert len(list(bench.phone.seen(str(HOME / "files")).iterdir())) == 3


@on_a_phone
def test_an_older_binary_measures_unchecked(bench: Bench) -> None:
    said = bench.run(W8A8, "--binary", "old", *bench.device, *QUICK)
    (result,) = bench.results
    (row,) = result.measurements
    assert row.golden is None
    assert "nobody checked that the answers are right" in said
    # Without percentiles, two runs are all that a text tells.
    assert {len(block.samples_s) for block in row.blocks} == {2}
    assert (row.delegate.applied, row.delegate.nodes) == ("XNNPACK", None)
    assert "delegate_missing" not in {warning.code for warning in result.warnings}
    assert len(row.ops) == 2


WRONG_ANSWERS = {
    "mirrored": r"answers wrongly on adb:\S+: logits are off by \d",
    "nan": r"answers wrongly on adb:\S+: its logits are none",
    "short": r"answers with 20 bytes on adb:\S+, not 40",
}


@on_a_phone
@pytest.mark.parametrize(("mode", "says"), WRONG_ANSWERS.items(), ids=WRONG_ANSWERS)
def test_wrong_answers_are_not_timed(bench: Bench, mode: str, says: str) -> None:
    said = bench.run(FP32, "--binary", mode, *bench.device, *QUICK, code=1)
    assert re.search(rf"error: {FP32} {says}.*; take another benchmark_model", said)
    assert "cold start" not in said and "measure" not in said
    assert bench.results == []


@on_a_phone
def test_the_inventory_names_the_binary(bench: Bench) -> None:
    (bench.folder / "devices.toml").write_text(
        f'[devices.pocket]\naddress = "adb:{bench.phone.serial}"\nbenchmark_binary = "litert"\n'
    )
    bench.run(W8A8, "--device", "pocket", *QUICK)
    (result,) = bench.results
    assert (result.device.name, result.device.runtime.name) == ("pocket", "benchmark_model")
    (path,) = bench.folder.glob("*.benchmark.json")
    assert path.name.startswith("lite0-w8a8-random@pocket-2")


@on_a_phone
def test_without_a_binary_there_is_no_python(bench: Bench) -> None:
    said = bench.run(W8A8, *bench.device, *QUICK, code=3)
    assert "no Python 3 on adb:" in said and "name a benchmark binary" in said


@on_a_phone
def test_a_phone_that_is_in_use(bench: Bench, tmp_path: Path) -> None:
    other = AdbDevice(Address("adb", serial=bench.phone.serial))
    with shell_lock(other, HOME):
        status = main(["benchmark", W8A8, "--binary", "litert", *bench.device, *QUICK])
        said = bench.capture.readouterr().err
        # The other's lock is left alone.
        assert bench.phone.seen(str(HOME / "lock" / "owner")).read_text().count("@") == 1
    assert status == 3
    assert re.search(r"error: adb:\S+ is in use by \S+@\S+ for 0 min; wait; if that run is long over", said)
    assert bench.results == []


@on_a_phone
def test_an_interrupt_leaves_nothing(bench: Bench) -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "edgenet", "benchmark", FP32, "--binary", "slow", *bench.device, *QUICK],
        cwd=bench.folder,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    deadline_s = time.monotonic() + 30
    while not any("benchmark_double" in line for line in bench.phone.running()):
        assert process.poll() is None and time.monotonic() < deadline_s
        time.sleep(0.1)
    assert bench.phone.seen(str(HOME / "lock")).exists()
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=30)
    assert (process.returncode, out, err.splitlines()[-1]) == (130, "", "error: interrupted")
    assert bench.phone.wait_until_idle() == []
    assert not bench.phone.seen(str(HOME / "lock")).exists()
    assert not [path for path in bench.phone.seen(str(HOME / "files")).iterdir() if "." in path.name]
    assert bench.results == []


@on_a_phone
def test_a_binary_that_hangs_is_ended(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("devices.benchmark_binary.START_S", 0.0)
    (bench.folder / FP32.replace(".tflite", ".manifest.json")).unlink()  # so that nothing is asked before
    said = bench.run(FP32, "--binary", "slow", "--timeout", "1", *bench.device, *QUICK, code=1)
    assert re.search(r"error: \S+ ran over 2 s on adb:\S+ and was ended", said)
    assert bench.results == []


REFUSED = {
    "processes": (("--processes", "2"), "--processes, --batch and --fix-governor need Python"),
    "batch": (("--batch", "1,2"), "--processes, --batch and --fix-governor need Python"),
    "governor": (("--fix-governor",), "--processes, --batch and --fix-governor need Python"),
    "delegate": (("--delegate", "vx.so"), "--delegate cannot be 'vx.so' with a binary; allowed: xnnpack, cpu"),
    "not compiled": (("--delegate", "edgetpu"), "is not compiled: nothing of it would run on an Edge TPU"),
    "onnx": (("other.onnx",), "other.onnx is no .tflite file; benchmark_model runs nothing else"),
    "another processor": (("--binary", "foreign"), "is for"),
    "no program": (("--binary", FP32), "is no program of a Linux or Android device"),
    "no file": (("--binary", "nothing"), "there is no file nothing"),
    "no checksum": (("--binary", "https://example.org/b"), "has no checksum; allowed: https://...#sha256=HEX"),
}


@on_a_phone
@pytest.mark.parametrize(("flags", "says"), REFUSED.values(), ids=REFUSED)
def test_what_a_binary_cannot_do(bench: Bench, flags: tuple[str, ...], says: str) -> None:
    (bench.folder / "other.onnx").write_bytes(b"some onnx")
    foreign = next(name for name in benchmark_double.MACHINES if name != platform.machine())
    (bench.folder / "foreign").write_bytes(benchmark_double.launcher("/none", foreign))
    files = bench.phone.seen(str(HOME / "files"))
    before = sorted(files.iterdir()) if files.exists() else []
    said = bench.run(FP32, "--binary", "litert", *flags, *bench.device, *QUICK, code=2)
    assert says in said.splitlines()[-1]
    assert "cold start" not in said and bench.results == []
    assert (sorted(files.iterdir()) if files.exists() else []) == before


STATE = {
    "/proc/meminfo": "MemTotal:  8000000 kB\nMemFree: 1 kB\nMemAvailable:  3000000 kB\n",
    "/proc/loadavg": "0.50 0.40 0.30 1/900 4242\n",
    "/sys/devices/system/cpu/cpufreq/policy0/scaling_governor": "schedutil\n",
    "/sys/devices/system/cpu/cpufreq/policy0/scaling_cur_freq": "300000\n",
    "/sys/devices/system/cpu/cpufreq/policy0/cpuinfo_max_freq": "1800000\n",
    "/sys/class/thermal/thermal_zone7/type": "big\n",
    "/sys/class/thermal/thermal_zone7/temp": "41500\n",
}


def phone_like(*texts: str, state: dict[str, str] = STATE, told: dict[str, str] | None = None) -> FakeDevice:
    """Return a fake phone whose benchmark_model prints the texts one after the other, the last one again and again."""
    waiting = list(texts) or [LITERT]

    def answer(arguments: Sequence[str], content: bytes) -> Finished:
        del content
        if arguments[0] == "chmod":
            return Finished(0, "", "")
        if arguments[0] == "sh":
            said = "".join(f"{name}\0{text}\0" for name, text in state.items())
            return Finished(0, said if "loadavg" in arguments[2] else "", "")
        text = waiting.pop(0) if len(waiting) > 1 else waiting[0]
        return Finished(1, "", text) if text.startswith("ERROR") else Finished(0, text, "")

    facts = {"android": "14", "cores": "8", "model": "Fake Phone", "kernel": "6.1"} | (told or {})
    description = replace(described("phone"), kind="adb", system="Android", python="", facts=facts)
    return FakeDevice("phone", answer=answer, description=description)


@pytest.fixture
def plain_model(tmp_path: Path, models: Path) -> Path:
    """Return a model without golden vectors."""
    shutil.copy(models / FP32, tmp_path / "model.tflite")
    return tmp_path / "model.tflite"


def measured(device: FakeDevice, model: Path, name: str = "quick", threads: tuple[int, ...] = (1,)) -> BenchmarkRecord:
    (binary := model.with_name("binary")).write_bytes(benchmark_double.launcher("/none", "aarch64"))
    plan = Plan(find_models((model,)), parse_protocol(name, 0.0), threads, (1,), (1,), (), "", False, 120.0)
    (result,) = measure_module.measure(device, "phone", plan, ("edgenet",), silent, str(binary))
    return result


def binary_calls(device: FakeDevice) -> list[str]:
    return [" ".join(call.given) for call in device.calls if call.name == "run" and "--graph=" in " ".join(call.given)]


def test_what_is_recorded(plain_model: Path) -> None:
    device = phone_like()
    result = measured(device, plain_model, "standard")
    assert result.device.memory_bytes == 8000000 * 1024  # all of it, not what was free
    assert (result.device.cores, result.device.system) == (8, "Android 14")
    (row,) = result.measurements
    # The runs are the protocol's; the seconds would never be reached by runs of three a process, so none are claimed.
    assert row.statistics.count == 102
    rules = result.protocol
    assert (rules.min_runs, rules.min_s, rules.warmup_runs, rules.warmup_s) == (100, 0.0, 1, 0.5)
    assert len(row.cold_starts) == 1
    # The governor is the fake's, and its runs are the same three again and again.
    assert {warning.code for warning in result.warnings} <= {"governor", "outliers", "unchecked"}
    (during, *_) = result.environment.during
    assert during.temperatures_c == {"big (7)": 41.5} and during.governors == ("schedutil",)
    # Between processes the cores idle: their clock then says nothing of the runs.
    assert during.frequencies_hz == ()
    assert result.environment.before.frequencies_hz == (300_000_000,)
    calls = binary_calls(device)
    cold = rules.cold_starts
    assert len(calls) == cold + 34 + 1
    assert all(" --num_runs=3 --min_secs=0 " in call for call in calls[cold:-1])
    assert "--num_threads=1" in calls[-1] and calls[-1].endswith("--report_peak_memory_footprint=true")
    assert device.order[-1] == "clean_up"


def test_mlperf_wants_its_seconds_of_runs(plain_model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(PROTOCOLS, "mlperf", PROTOCOLS["mlperf"].model_copy(update={"min_runs": 9, "min_s": 0.5}))
    result = measured(phone_like(), plain_model, "mlperf")
    (row,) = result.measurements
    assert sum(sum(block.samples_s) for block in row.blocks) >= 0.5
    assert result.protocol.min_s == 0.5


def test_the_longest_time_ends_it(plain_model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(PROTOCOLS, "quick", PROTOCOLS["quick"].model_copy(update={"max_s": 0.0}))
    result = measured(phone_like(), plain_model)
    assert result.measurements[0].statistics.count == 3
    assert "too_few_runs" in {warning.code for warning in result.warnings}


def test_ops_are_of_one_thread(plain_model: Path) -> None:
    device = phone_like()
    result = measured(device, plain_model, threads=(4,))
    assert "--num_threads=4" in binary_calls(device)[-2] and "--num_threads=1" in binary_calls(device)[-1]
    assert result.measurements[0].ops_note == "this benchmark_model printed no profile"


def test_a_profile_that_fails_costs_no_measurement(plain_model: Path) -> None:
    result = measured(phone_like(*[LITERT] * 8, "ERROR: \x1b[2Jno memory"), plain_model)
    (row,) = result.measurements
    assert (row.statistics.count, row.ops) == (21, ())
    assert "ended with 1: ERROR: ?[2Jno memory" in row.ops_note


def counted(**values: object) -> str:
    """Return a text whose runs are counted so."""
    line = "count=3 first=9000 curr=8100 min=8000 max=9000 avg=8366.67 std=449 p5=8000 median=8100 p95=9000"
    assert line in LITERT
    return LITERT.replace(line, " ".join(f"{name}={value}" for name, value in values.items()))


TEXTS = {
    "under a microsecond": (counted(count=3, curr=0, p5=0, median=0, p95=0), "took less than a microsecond"),
    "some of them": (
        counted(count=3, first=0, curr=1, min=0, max=1, avg=0.3, std=0, p5=0, median=0, p95=1),
        "took less than a microsecond",
    ),
    "more runs than were asked for": (counted(count=999999999, curr=5, p5=5, median=5, p95=5), "contradicts itself"),
    "no sense": (
        counted(count=3, first=1, curr=2, min=5, max=9, avg=7, std=1, p5=5, median=7, p95=9),
        "contradicts itself",
    ),
    "before it began": (counted(count=3, curr=-5, p5=0, median=0, p95=0), "contradicts itself"),
    "endless": (counted(count=3, curr="1e400", p5=0, median=0, p95=0), "contradicts itself"),
}


@pytest.mark.parametrize(("text", "says"), TEXTS.values(), ids=TEXTS)
def test_a_text_that_cannot_be(plain_model: Path, text: str, says: str) -> None:
    device = phone_like(LITERT, text)
    with pytest.raises(GateFailed, match=rf"binary on model\.tflite: .*{says}"):
        measured(device, plain_model)
    assert device.order[-1] == "clean_up"


def test_a_cold_start_that_cannot_be(plain_model: Path) -> None:
    with pytest.raises(InputError, match=r"what fake:phone tells cannot be: load_s"):
        measured(phone_like(LITERT.replace("Init: 12250", "Init: 1e400")), plain_model)


def test_fewer_runs_where_its_time_was_up(plain_model: Path) -> None:
    few = counted(count=2, first=9000, curr=8100, min=8100, max=9000, avg=8550, std=450, p5=8100, median=9000, p95=9000)
    result = measured(phone_like(LITERT, few), plain_model)
    (row,) = result.measurements
    assert row.blocks[0].samples_s == pytest.approx((0.009, 0.0081)) and row.statistics.count == 20


DELEGATES = {
    "completely": (LITERT, "XNNPACK", 64),
    "partially, 2.3": (OLD.replace("count=50", "count=2").replace("count=9 ", "count=2 "), "XNNPACK", None),
    "not": (re.sub(r"(VERBOSE: Repl|INFO: Explicitly).*\n", "", LITERT), "", None),
}


@pytest.mark.parametrize(("text", "applied", "nodes"), DELEGATES.values(), ids=DELEGATES)
def test_whether_the_delegate_was_applied(plain_model: Path, text: str, applied: str, nodes: int | None) -> None:
    result = measured(phone_like(text), plain_model)
    assert (result.measurements[0].delegate.applied, result.measurements[0].delegate.nodes) == (applied, nodes)
    assert ("delegate_missing" in {warning.code for warning in result.warnings}) == (not applied)


def test_a_phone_that_says_odd_things_of_itself(plain_model: Path) -> None:
    odd = {"cores": "\u00b2", "model": "m" * 600, "soc": "\x1b[31m", "kernel": "k" * 600, "android": "9" * 600}
    long = benchmark_double.PROFILE.replace("[stem]", "x" * 600)
    result = measured(phone_like(*[LITERT] * 8, LITERT + long, told=odd), plain_model)
    assert (result.device.cores, result.device.model, result.device.soc) == (0, "m" * 500, "?[31m")
    assert all(len(op.name) <= 500 for op in result.measurements[0].ops) and result.measurements[0].ops


HOSTILE_STATES: dict[str, dict[str, str]] = {
    "no load average": {"/proc/loadavg": "a b c"},
    "no number": {"/proc/loadavg": "nan nan nan"},
    "memory without a number": {"/proc/meminfo": "MemAvailable: lots kB\n"},
    "memory without anything": {"/proc/meminfo": "MemAvailable:\n"},
    "a clock beyond all": {"/sys/devices/system/cpu/cpufreq/policy0/scaling_cur_freq": "9" * 400},
}


@pytest.mark.parametrize("state", HOSTILE_STATES.values(), ids=HOSTILE_STATES)
def test_a_state_that_cannot_be(plain_model: Path, state: dict[str, str]) -> None:
    with pytest.raises(InputError, match=r"fake:phone tells.* cannot be") as caught:
        measured(phone_like(state=STATE | state), plain_model)
    assert str(caught.value).isprintable()


def test_a_state_that_is_not_told(plain_model: Path) -> None:
    result = measured(phone_like(state={}), plain_model)
    before = result.environment.before
    assert (before.governors, before.temperatures_c, before.memory_available_bytes) == ((), {}, None)
    assert (before.load_average, result.device.memory_bytes) == (None, 0)


def test_only_the_files_that_were_asked_for_are_read() -> None:
    traps = {
        "/proc/meminfo/x": "a folder that is a file",
        "/sys/../../../etc/passwd": "outside",
        "../x": "outside",
        "": "no name",
        "/sys/class/thermal/thermal_zone1/temp\n": "1000",
        "/proc/device-tree/model": "another",
    }
    governor = "/sys/devices/system/cpu/cpufreq/policy0/scaling_governor"
    state = {**STATE, **traps, governor: "\x1b[2Jperformance\n"}
    found = PhoneState(phone_like(state=state), time.monotonic()).snapshot()
    assert found.temperatures_c == {"big (7)": 41.5}
    assert found.load_average == (0.5, 0.4, 0.3)


def test_control_characters_reach_no_terminal(plain_model: Path) -> None:
    governor = "/sys/devices/system/cpu/cpufreq/policy0/scaling_governor"
    result = measured(phone_like(state=STATE | {governor: "\x1b[2Jondemand"}), plain_model)
    assert any("?[2Jondemand" in warning.message for warning in result.warnings)
    assert all(warning.message.isprintable() for warning in result.warnings)


def test_an_error_is_one_of_ours(plain_model: Path) -> None:
    with pytest.raises(EdgenetError, match="not what TFLite's benchmark_model prints"):
        measured(phone_like("hello"), plain_model)
