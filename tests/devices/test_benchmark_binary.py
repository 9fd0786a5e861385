"""benchmark_model on a device. No real one can be had: a script that prints what one prints stands in for it."""

import os
import shutil
import stat
import time
from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise
from pathlib import Path, PurePosixPath

import pytest

from devices.adb import HOME, AdbDevice
from devices.address import Address
from devices.base import DeviceTimeout
from devices.benchmark_binary import (
    BenchmarkBinary,
    BinarySetting,
    infer,
    install,
    measure,
    prepare,
    profile,
    runs_for_samples,
)
from devices.benchmark_output import parse_report
from devices.local import LocalDevice
from devices.shell_lock import shell_lock
from edgenet.errors import GateFailed, InputError, MissingError
from edgenet.progress import silent
from tests.devices.adbd import adbd, missing
from tests.devices.benchmark_texts import LITERT, MIDDLE, OLD, UNKNOWN_FLAGS
from tests.devices.test_adb import use_server

MODEL = PurePosixPath("/data/local/tmp/edgenet/files/ab12")
HAS_TASKSET = pytest.mark.skipif(shutil.which("taskset") is None, reason="no taskset on this machine")
# It notes each of its command lines beside itself, and what it is told to do by its name.
STAND_IN = """\
#!/bin/sh
echo "$@" >> "$0.calls"
{action}
cat <<'END'
{text}
END
"""
# What LiteRT's does with these two flags; its answer here is the input in capitals.
ANSWER = """\
for flag in "$@"; do
    case $flag in
    --input_layer_value_files=input:*) given=${flag#*:} ;;
    --output_filepath=*) got=${flag#*=} ;;
    esac
done
tr a-z A-Z < "$given" > "$got"
"""


@pytest.fixture
def device(tmp_path: Path) -> Iterator[LocalDevice]:
    device = LocalDevice(home=tmp_path / "home")
    device.describe()
    yield device
    device.clean_up()


def stand_in(device: LocalDevice | AdbDevice, tmp_path: Path, text: str, action: str = "") -> BenchmarkBinary:
    """Bring a stand-in to a device."""
    path = tmp_path / "benchmark_model"
    path.write_text(STAND_IN.format(action=action, text=text))
    return install(device, path, "stand-in", silent)


def calls(binary: BenchmarkBinary) -> list[str]:
    return Path(f"{binary.path}.calls").read_text().splitlines()


def test_each_process_is_a_block(device: LocalDevice, tmp_path: Path) -> None:
    binary = stand_in(device, tmp_path, LITERT, "sleep 0.05")
    steps: list[tuple[str, int, int]] = []
    setting = BinarySetting(runs=3, min_s=0, max_s=2.5, warmup_runs=0, warmup_s=0, threads=4)
    runs = measure(device, binary, MODEL, setting, 3, lambda *step: steps.append(step))
    assert [run.report for run in runs] == [parse_report(LITERT)] * 3
    assert runs[0].started_s < 0.05 and all(run.elapsed_s > 0.05 for run in runs)
    assert all(later.started_s >= run.started_s + run.elapsed_s for run, later in pairwise(runs))
    assert steps == [("benchmark_model", done, 3) for done in range(4)]
    assert calls(binary) == 3 * [
        f"--graph={MODEL} --num_threads=4 --num_runs=3 --min_secs=0 --max_secs=2.5 --warmup_runs=0"
        " --warmup_min_secs=0 --use_xnnpack=true"
    ]


def test_samples_out_of_processes(device: LocalDevice, tmp_path: Path) -> None:
    told = [measure(device, stand_in(device, tmp_path, text), MODEL, BinarySetting(), 1)[0] for text in (OLD, LITERT)]
    assert [runs_for_samples(run.report) for run in told] == [2, 3]
    assert len(told[1].report.inference.samples_s) == 3


def test_profile_is_apart_from_the_timing(device: LocalDevice, tmp_path: Path) -> None:
    binary = stand_in(device, tmp_path, MIDDLE)
    told = profile(device, binary, MODEL, BinarySetting(xnnpack=False))
    assert told.memory and told.memory.peak_bytes and len(told.ops) == 3
    assert calls(binary)[0].endswith(
        "--use_xnnpack=false --enable_op_profiling=true --report_peak_memory_footprint=true"
    )


def test_all_on_standard_error(device: LocalDevice, tmp_path: Path) -> None:
    binary = stand_in(device, tmp_path, OLD, "exec >&2")
    assert measure(device, binary, MODEL, BinarySetting(), 1)[0].report == parse_report(OLD)


@HAS_TASKSET
def test_affinity(device: LocalDevice, tmp_path: Path) -> None:
    core = min(os.sched_getaffinity(0))
    binary = stand_in(device, tmp_path, LITERT, 'taskset -p $$ | sed "s/.* //" >> "$0.calls"')
    measure(device, binary, MODEL, BinarySetting(affinity=(core,)), 1)
    assert int(calls(binary)[1], 16) == 1 << core


FAILURES = {
    "its own complaint": (
        'echo "INFO: STARTING!"; printf "ERROR: Failed to load model x\\nERROR: Benchmarking failed.\\n" >&2; exit 1',
        r"stand-in ended with 1: ERROR: Failed to load model x; ERROR: Benchmarking failed\.; .*by hand",
    ),
    "no words": ("exit 3", "ended with 3: it says nothing"),
    "a crash": ("kill -SEGV $$", r"crashed with signal 11 \(a bad address\)"),
    "an instruction of a newer processor": ("kill -ILL $$", r"signal 4 \(an instruction that its processor lacks\)"),
}


@pytest.mark.parametrize(("action", "message"), FAILURES.values(), ids=FAILURES)
def test_it_fails(device: LocalDevice, tmp_path: Path, action: str, message: str) -> None:
    with pytest.raises(GateFailed, match=message):
        measure(device, stand_in(device, tmp_path, LITERT, action), MODEL, BinarySetting(), 1)


@pytest.mark.parametrize("text", ["", "hello", LITERT.partition("Inference timings")[0]])
def test_it_prints_something_else(device: LocalDevice, tmp_path: Path, text: str) -> None:
    with pytest.raises(InputError, match="not what TFLite's benchmark_model prints"):
        measure(device, stand_in(device, tmp_path, text), MODEL, BinarySetting(), 1)


def test_flags_that_it_does_not_know_are_no_warning(device: LocalDevice, tmp_path: Path) -> None:
    binary = stand_in(device, tmp_path, UNKNOWN_FLAGS + LITERT)
    with pytest.raises(
        InputError, match=r"does not know --warmup_min_secs=0\.5 --use_xnnpack=true and .*; take a newer"
    ):
        measure(device, binary, MODEL, BinarySetting(), 1)


def test_it_hangs(device: LocalDevice, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("devices.benchmark_binary.START_S", 0.5)
    before_s = time.monotonic()
    with pytest.raises(DeviceTimeout):
        measure(device, stand_in(device, tmp_path, LITERT, "sleep 300"), MODEL, BinarySetting(max_s=0.1), 1)
    assert time.monotonic() - before_s < 10


def test_an_answer_for_golden_vectors(device: LocalDevice, tmp_path: Path) -> None:
    binary = stand_in(device, tmp_path, LITERT, ANSWER)
    kept = sorted((tmp_path / "home" / "files").iterdir())
    assert infer(device, binary, MODEL, (1, 2, 2, 3), b"abcdefghijkl", BinarySetting(threads=2)) == b"ABCDEFGHIJKL"
    assert "--input_layer=input --input_layer_shape=1,2,2,3 --input_layer_value_files=input:/" in calls(binary)[0]
    assert "--num_runs=1 --min_secs=0" in calls(binary)[0] and "--num_threads=2" in calls(binary)[0]
    assert sorted((tmp_path / "home" / "files").iterdir()) == sorted([*kept, Path(f"{binary.path}.calls")])


def test_a_binary_that_gives_no_answers(device: LocalDevice, tmp_path: Path) -> None:
    older = stand_in(device, tmp_path, "WARN: Unconsumed cmdline flags: --output_filepath=x\n" + LITERT)
    with pytest.raises(InputError, match="does not know --output_filepath=x"):
        infer(device, older, MODEL, (1, 1), b"x", BinarySetting())
    with pytest.raises(InputError, match="cannot bring"):
        infer(device, stand_in(device, tmp_path, LITERT), MODEL, (1, 1), b"x", BinarySetting())


def test_only_a_program_for_the_device_is_sent(device: LocalDevice, tmp_path: Path) -> None:
    told = device.describe()
    program = shutil.which("true")
    assert program
    binary = prepare(device, told, program, silent)
    path = Path(binary.path)
    assert path.read_bytes() == Path(program).read_bytes() and stat.S_IMODE(path.stat().st_mode) == 0o700
    assert binary.sha256 == path.name
    other = "riscv64" if told.machine != "riscv64" else "aarch64"
    with pytest.raises(InputError, match=f"the device is {other}"):
        prepare(device, replace(told, machine=other), program, silent)
    script = tmp_path / "script"
    script.write_text("#!/bin/sh\n")
    with pytest.raises(InputError, match="is no program"):
        prepare(device, told, str(script), silent)
    assert [kept.name for kept in (tmp_path / "home" / "files").iterdir()] == [binary.sha256]


@pytest.mark.skipif(bool(missing()), reason=missing())
def test_on_a_phone_without_python(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with adbd(tmp_path / "phone") as phone:
        use_server(phone, monkeypatch)
        device = AdbDevice(Address("adb", serial=phone.serial))
        assert device.describe().python == ""
        (tmp_path / "model.tflite").write_bytes(b"a model")
        with shell_lock(device, HOME):
            model = device.push(tmp_path / "model.tflite", silent)
            binary = stand_in(device, tmp_path, LITERT, ANSWER + "[ -r ${1#--graph=} ] || exit 9")
            got = infer(device, binary, model, (1, 3), b"abc", BinarySetting())
            runs = measure(device, binary, model, BinarySetting(), 2)
            with pytest.raises(MissingError, match="is in use by"), shell_lock(device, HOME):
                pass
        assert got == b"ABC"
        assert [run.report for run in runs] == 2 * [parse_report(LITERT)]
        with pytest.raises(GateFailed, match="ended with 9"):
            measure(device, binary, HOME / "nothing", BinarySetting(), 1)
        assert phone.wait_until_idle() == []
