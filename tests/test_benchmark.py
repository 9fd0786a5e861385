"""`edgenet benchmark` from the command line to the files: on this machine, over SSH, and on a phone that has Python."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

import edgenet
from benchmarks.read import read_results
from benchmarks.result import BenchmarkRecord
from converters import conversion
from edgenet.errors import GateFailed, InputError
from edgenet.progress import silent
from tests.devices import adbd as phone
from tests.devices import sshd as board
from tests.devices.cutting_proxy import cutting_proxy
from tests.networks import small_variant

ROOT = Path(__file__).resolve().parent.parent
# Where the runtime of these tests lies; a device finds it through this variable.
SITE = os.pathsep.join(path for path in sys.path if path.endswith("site-packages"))
PYTHON = f'#!/bin/sh\nPYTHONPATH={SITE} exec {sys.executable} "$@"\n'
FP32, W8A8 = "lite0-fp32-random.tflite", "lite0-w8a8-random.tflite"


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with a small network as fp32 and w8a8 artifacts."""
    folder = tmp_path_factory.mktemp("models")
    request = conversion.Request(
        small_variant("lite"), (("fp32", "float32"), ("w8a8", "uint8")), "random", "builtin", 16, 0, 10, None
    )
    conversion.run(request, folder, False, (), silent, lambda text: None)
    return folder


@dataclass(frozen=True)
class Machine:
    """Where commands run: a folder, with a home of its own."""

    folder: Path
    environment: dict[str, str]

    def run(self, *arguments: str, code: int = 0) -> subprocess.CompletedProcess[str]:
        """Run one edgenet command and check its exit code."""
        done = self.start(*arguments)
        out, err = done.communicate(timeout=240)
        assert done.returncode == code, err
        return subprocess.CompletedProcess(arguments, done.returncode, out, err)

    def start(self, *arguments: str) -> "subprocess.Popen[str]":
        """Start one edgenet command."""
        return subprocess.Popen(
            [sys.executable, "-m", "edgenet", *arguments],
            cwd=self.folder,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    @property
    def results(self) -> list[BenchmarkRecord]:
        """The results that lie in the folder."""
        return [result for _, result in read_results(self.folder)]


@pytest.fixture
def machine(models: Path, tmp_path: Path) -> Machine:
    """Return a folder with the models in it."""
    folder, home = tmp_path / "work", tmp_path / "home"
    shutil.copytree(models, folder)
    home.mkdir()
    environment = {**os.environ, "HOME": str(home), "PYTHONPATH": str(ROOT)}
    for name in ("XDG_CACHE_HOME", "XDG_CONFIG_HOME", "SSH_AUTH_SOCK", "COLUMNS"):
        environment.pop(name, None)
    return Machine(folder, environment)


@pytest.fixture
def server(machine: Machine, tmp_path: Path) -> Iterator[board.Sshd]:
    """Return a board with Python and the runtime, which `machine` knows as the host `device`."""
    if board.missing():
        pytest.skip(board.missing())
    with board.sshd(tmp_path / "board", commands={"python3": PYTHON}) as server:
        configuration = Path(machine.environment["HOME"]) / ".ssh" / "config"
        configuration.parent.mkdir(mode=0o700)
        shutil.copy(server.ssh_config, configuration)
        yield server


def test_two_files_take_turns_on_this_machine(machine: Machine) -> None:
    done = machine.run("benchmark", FP32, W8A8, "--protocol", "quick", "--csv", "table.csv")
    assert done.stderr.splitlines()[0] == f"{FP32}, {W8A8} on local: quick protocol, 1 setting, 5 s or more"
    assert done.stderr.splitlines()[-1].startswith("next: edgenet compare ")
    assert "passed" in done.stdout
    fp32, w8a8 = machine.results
    assert fp32.session.id == w8a8.session.id
    assert (fp32.model.variant, fp32.model.precision, fp32.model.weights) == ("lite0", "fp32", "random")
    (row,) = fp32.measurements
    assert row.statistics.count == sum(len(block.samples_s) for block in row.blocks) >= 20
    assert sum(sum(block.samples_s) for block in row.blocks) >= 2.0
    assert fp32.device.kind == "local"
    assert fp32.provenance == "measured"
    assert len((machine.folder / "table.csv").read_text().splitlines()) == 3


def test_json_is_the_result_that_is_written(machine: Machine) -> None:
    done = machine.run("benchmark", FP32, "--protocol", "quick", "--json", "--batch", "2", "--threads", "1,2")
    document = json.loads(done.stdout)
    (result,) = machine.results
    assert document["schema_version"] == 1
    assert document["results"] == [result.model_dump(mode="json")]
    assert [(row.setting.threads, row.setting.batch) for row in result.measurements] == [(1, 2), (2, 2)]


def test_from_python(machine: Machine, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    first, second = edgenet.benchmark(
        machine.folder / FP32, machine.folder / W8A8, protocol="quick", out=machine.folder / "python"
    )
    (row,) = edgenet.compare(first, second)
    assert row.low <= row.ratio <= row.high
    assert len(list((machine.folder / "python").iterdir())) == 2
    with pytest.raises(InputError, match="no model was named"):
        edgenet.benchmark()


def test_over_ssh_files_are_sent_once_and_nothing_is_left(machine: Machine, server: board.Sshd) -> None:
    first = machine.run("benchmark", FP32, "--device", "ssh://device", "--protocol", "quick")
    assert FP32 in "".join(line for line in first.stderr.splitlines() if line.startswith(("push", "copy", "send")))
    begin_s = time.monotonic()
    second = machine.run("benchmark", FP32, "--device", "ssh://device", "--protocol", "quick")
    took_s = time.monotonic() - begin_s
    assert not [line for line in second.stderr.splitlines() if line.startswith(("push", "copy", "send"))]
    assert took_s < 60
    for result in machine.results:
        assert (result.device.kind, result.device.address) == ("ssh", "ssh://device")
        assert result.measurements[0].golden and result.measurements[0].golden.passed
    home = server.home / ".cache" / "edgenet"
    assert home.stat().st_mode & 0o777 == 0o700
    assert {path.name for path in home.iterdir()} <= {"files", "runner.lock"}
    assert all(path.stat().st_mode & 0o077 == 0 for path in home.rglob("*"))
    assert server.wait_until_idle(5.0) == []


def test_one_device_is_not_measured_by_two(machine: Machine, server: board.Sshd) -> None:
    first = machine.start("benchmark", FP32, "--device", "ssh://device")
    try:
        deadline_s = time.monotonic() + 60
        while not any("--child" in line for line in server.running()):
            assert first.poll() is None and time.monotonic() < deadline_s
            time.sleep(0.2)
        done = machine.run("benchmark", W8A8, "--device", "ssh://device", "--protocol", "quick", code=3)
        assert "ssh://device is in use by " in done.stderr
        assert "wait until that session has ended" in done.stderr
    finally:
        first.kill()
        first.communicate()
    assert server.wait_until_idle(20.0) == []


@pytest.mark.parametrize("moment", ["connecting", "measuring"])
def test_an_interrupt_leaves_nothing(machine: Machine, server: board.Sshd, moment: str) -> None:
    process = machine.start("benchmark", FP32, "--device", "ssh://device")
    deadline_s = time.monotonic() + 60
    while not any(("--child" if moment == "measuring" else "") in line for line in server.running()):
        assert process.poll() is None and time.monotonic() < deadline_s
        time.sleep(0.1)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=30)
    assert (process.returncode, out) == (130, "")
    assert err.splitlines()[-1] == "error: interrupted"
    assert server.wait_until_idle(20.0) == []
    assert not list(machine.folder.glob("*.benchmark.json"))


def test_a_restart_of_the_device_is_told(machine: Machine, server: board.Sshd) -> None:
    process = machine.start("benchmark", FP32, "--device", "ssh://device")
    deadline_s = time.monotonic() + 60
    while not any("--child" in line for line in server.running()):
        assert process.poll() is None and time.monotonic() < deadline_s
        time.sleep(0.2)
    server.restart()
    _, err = process.communicate(timeout=60)
    assert process.returncode == 3, err
    assert "ssh://device" in err.splitlines()[-1]
    machine.run("benchmark", FP32, "--device", "ssh://device", "--protocol", "quick")


def broken_delegate(server: board.Sshd, name: str, body: str) -> str:
    """Return a library on the board that does something bad when it is loaded, as a broken delegate would."""
    if not shutil.which("gcc"):
        pytest.skip("no gcc to build a broken delegate with")
    source, library = server.home / f"{name}.c", server.home / f"{name}.so"
    source.write_text(
        f"#include <signal.h>\n#include <unistd.h>\n__attribute__((constructor)) static void load(void) {{ {body} }}\n"
    )
    subprocess.run(["gcc", "-shared", "-fPIC", str(source), "-o", str(library)], check=True)
    return str(library)


@pytest.mark.parametrize(
    ("name", "body", "says"),
    [
        ("crash", "raise(SIGSEGV);", "the runtime crashed (SIGSEGV) while loading"),
        ("hang", "for (;;) pause();", "gave no answer for 3 s while loading"),
    ],
)
def test_a_runtime_that_falls_or_hangs_there_leaves_nothing(
    machine: Machine, server: board.Sshd, name: str, body: str, says: str
) -> None:
    library = broken_delegate(server, name, body)
    flags = ("--device", "ssh://device", "--delegate", library, "--timeout", "3", "--protocol", "quick")
    done = machine.run("benchmark", FP32, *flags, code=1)
    assert says in done.stderr.splitlines()[-1]
    assert server.wait_until_idle(5.0) == []


def test_a_cut_in_the_middle_of_a_run_leaves_nothing(machine: Machine, server: board.Sshd) -> None:
    with cutting_proxy(server.port) as proxy:
        configuration = Path(machine.environment["HOME"]) / ".ssh" / "config"
        text = configuration.read_text().replace(f"Port {server.port}", f"Port {proxy.port}")
        assert f"Port {proxy.port}" in text
        configuration.write_text(text)
        with server.known_hosts.open("a") as file:
            file.write(server.host_key_line.replace(str(server.port), str(proxy.port)) + "\n")
        process = machine.start("benchmark", FP32, "--device", "ssh://device")
        deadline_s = time.monotonic() + 60
        while not any("--child" in line for line in server.running()):
            assert process.poll() is None and time.monotonic() < deadline_s
            time.sleep(0.2)
        proxy.cut()
        _, err = process.communicate(timeout=60)
    assert process.returncode == 3, err
    assert err.splitlines()[-1].startswith("error: ")
    assert server.wait_until_idle(20.0) == []
    assert not list(machine.folder.glob("*.benchmark.json"))


def test_a_full_disk_there_is_told(machine: Machine, tmp_path: Path) -> None:
    if reason := board.missing_for_small_disk():
        pytest.skip(reason)
    with board.sshd(tmp_path / "board", commands={"python3": PYTHON}, disk_bytes=1_000_000) as server:
        configuration = Path(machine.environment["HOME"]) / ".ssh" / "config"
        configuration.parent.mkdir(mode=0o700)
        shutil.copy(server.ssh_config, configuration)
        done = machine.run("benchmark", FP32, "--device", "ssh://device", "--protocol", "quick", code=3)
        assert "space" in done.stderr.splitlines()[-1]
        assert server.wait_until_idle(5.0) == []


def test_a_device_without_python_says_so(machine: Machine, tmp_path: Path) -> None:
    if board.missing():
        pytest.skip(board.missing())
    with board.sshd(tmp_path / "board", without=("python3", "python")) as server:
        configuration = Path(machine.environment["HOME"]) / ".ssh" / "config"
        configuration.parent.mkdir(mode=0o700)
        shutil.copy(server.ssh_config, configuration)
        done = machine.run("benchmark", FP32, "--device", "ssh://device", "--protocol", "quick", code=3)
        assert "no Python 3 on ssh://device; install python3 there" in done.stderr.splitlines()[-1]


def test_a_device_without_the_runtime_says_what_installs_it(machine: Machine, server: board.Sshd) -> None:
    bare = shutil.which("python3", path="/usr/bin:/bin")
    if not bare:
        pytest.skip("needs the system's own python3, which has no TFLite runtime")
    (server.home / "python3").write_text(f'#!/bin/sh\nexec {bare} -I "$@"\n')
    (server.home / "python3").chmod(0o700)
    inventory = f'[devices.bare]\naddress = "ssh://device"\npython = "{server.home}/python3"\n'
    (machine.folder / "devices.toml").write_text(inventory)
    done = machine.run("benchmark", FP32, "--device", "bare", "--protocol", "quick", code=3)
    assert "no TFLite runtime here" in done.stderr or "no Python" in done.stderr
    assert "edgenet devices setup" in done.stderr


def test_on_a_phone_with_python(machine: Machine, tmp_path: Path) -> None:
    if phone.missing():
        pytest.skip(phone.missing())
    with phone.adbd(
        tmp_path / "phone", commands={"python3": PYTHON}, visible=(ROOT.parent, Path(sys.prefix))
    ) as device:
        own = Machine(machine.folder, {**machine.environment, **device.environment})
        own.run("benchmark", W8A8, "--device", f"adb:{device.serial}", "--protocol", "quick")
        (result,) = own.results
        assert result.device.kind == "adb"
        assert result.measurements[0].golden and result.measurements[0].golden.passed
        assert device.wait_until_idle() == []


@dataclass(frozen=True)
class Wrong:
    arguments: tuple[str, ...]
    code: int
    says: str


WRONG = [
    Wrong(("nothing.tflite",), 2, "cannot read nothing.tflite: No such file or directory"),
    Wrong((FP32, "--device", "ssh://"), 2, "write local, ssh://[user@]host[:port], adb, adb:SERIAL"),
    Wrong((FP32, "--device", "pi$(id)"), 2, "pi$(id)"),
    Wrong((FP32, "--protocol", "fast"), 2, "unknown protocol 'fast'; allowed: quick, standard, mlperf"),
    Wrong((FP32, "--threads", "0"), 2, "--threads cannot be '0'; allowed: whole numbers from 1 to 64"),
    Wrong((FP32, "--threads", "1,1"), 2, "--threads cannot be '1,1'"),
    Wrong((FP32, "--affinity", "a"), 2, "--affinity cannot be 'a'"),
    Wrong((FP32, "--cooldown", "-1"), 2, "--cooldown cannot be '-1'; allowed: seconds from 0 to 86400"),
    Wrong((FP32, "--timeout", "nan"), 2, "--timeout cannot be 'nan'"),
    Wrong((FP32, "--delegate", "nothing.so"), 3, "no delegate 'nothing.so'"),
    Wrong((FP32, "--fix-governor"), 3, "governor"),
    Wrong((FP32, "--affinity", "1000"), 2, "core"),
    Wrong((f"{FP32[:-7]}.golden.npz",), 2, "is no model"),
]


@pytest.mark.parametrize("case", WRONG, ids=lambda case: " ".join(case.arguments[-2:]))
def test_what_goes_wrong_is_one_line(machine: Machine, case: Wrong) -> None:
    quick = () if "--protocol" in case.arguments else ("--protocol", "quick")
    done = machine.run("benchmark", *case.arguments, *quick, code=case.code)
    assert case.says in done.stderr.splitlines()[-1]
    assert done.stderr.splitlines()[-1].startswith("error: ")
    assert not list(machine.folder.glob("*.benchmark.json"))


def test_the_model_that_answers_wrongly_is_not_timed(machine: Machine) -> None:
    """The golden vectors of one file beside another: the manifest does not tell, the answers do."""
    shutil.copy(machine.folder / FP32.replace(".tflite", ".golden.npz"), machine.folder / "kept.npz")
    path = machine.folder / W8A8.replace(".tflite", ".golden.npz")
    from edgenet.artifact import find_artifacts, pack_golden, read_golden

    (artifact,) = find_artifacts(machine.folder / W8A8)
    golden = read_golden(artifact)
    mirrored = type(golden)(golden.pixels, golden.logits[:, ::-1].copy(), golden.float_logits[:, ::-1].copy())
    path.write_bytes(pack_golden(mirrored))
    with pytest.raises(GateFailed, match="answers wrongly on this device"):
        edgenet.benchmark(artifact.path, protocol="quick")
