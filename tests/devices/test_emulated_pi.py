"""The emulated boards, proven with OpenSSH's own clients and with the runtimes that they carry."""

import hashlib
import json
import os
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from converters import conversion
from converters.runtime import Runner, decode, encode_pixels
from devices.on_device.child import LARGEST_ERROR_RATIO
from edgenet.precision import Precision, default_io
from edgenet.progress import silent
from tests.devices.cutting_proxy import cutting_proxy
from tests.devices.emulated_pi import Pi, emulated_pi, missing
from tests.devices.pi_root import ARCHITECTURES
from tests.devices.processes import wait_for_greeting, wait_until
from tests.networks import pictures, small_variant

pytestmark = pytest.mark.slow
FIVE_MB = 5_000_000
MACHINES = {"arm64": "aarch64", "armhf": "armv7l"}
PROGRAM = """
import sys
import numpy as np
try:
    from ai_edge_litert.interpreter import Interpreter
except ImportError:
    from tflite_runtime.interpreter import Interpreter
interpreter = Interpreter(sys.argv[1])
interpreter.allocate_tensors()
interpreter.set_tensor(interpreter.get_input_details()[0]["index"], np.load(sys.argv[2]))
interpreter.invoke()
print(interpreter.get_tensor(interpreter.get_output_details()[0]["index"])[0].tolist())
"""


@pytest.fixture(scope="module", params=ARCHITECTURES)
def pi(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pi]:
    if reason := missing(request.param):
        pytest.skip(reason)
    with emulated_pi(tmp_path_factory.mktemp("pi"), request.param) as pi:
        yield pi


def ssh(pi: Pi, command: str, *options: str, content: Path = Path(os.devnull)) -> subprocess.CompletedProcess[str]:
    arguments = ["ssh", "-F", str(pi.ssh_config), *options, "pi", command]
    with content.open("rb") as stdin:
        return subprocess.run(arguments, capture_output=True, text=True, timeout=60, check=False, stdin=stdin)


def sftp(pi: Pi, *commands: str) -> subprocess.CompletedProcess[str]:
    arguments = ["sftp", "-q", "-b", "-", "-F", str(pi.ssh_config), "pi"]
    batch = "".join(f"{command}\n" for command in commands)
    return subprocess.run(arguments, input=batch, capture_output=True, text=True, timeout=60, check=False)


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def through(port: int, pi: Pi) -> tuple[str, ...]:
    return ("-o", f"HostKeyAlias={pi.host_key_line.split()[0]}", "-p", str(port))


def test_exit_status_and_streams(pi: Pi) -> None:
    answer = ssh(pi, "echo out; echo err >&2; exit 37")
    assert (answer.returncode, answer.stdout, answer.stderr) == (37, "out\n", "err\n")


def test_it_is_a_pi(pi: Pi) -> None:
    pi.throttle(0x50005)
    pi.seen("/sys/class/thermal/thermal_zone0/temp").write_text("61234\n")
    script = """uname -m; hostname; pwd; grep ^Model /proc/cpuinfo; tr -d '\\0' < /sys/firmware/devicetree/base/model
echo; cat /sys/devices/system/cpu/cpu0/cpufreq/scaling_governor; vcgencmd get_throttled; vcgencmd measure_temp"""
    model = ARCHITECTURES[pi.architecture].model
    assert ssh(pi, script).stdout.splitlines() == [
        MACHINES[pi.architecture],
        "raspberrypi",
        "/home/pi",
        f"Model\t\t: {model}",
        model,
        "ondemand",
        "throttled=0x50005",
        "temp=61.2'C",
    ]


def test_put_and_get(pi: Pi, tmp_path: Path) -> None:
    blob, back = tmp_path / "blob", tmp_path / "back"
    blob.write_bytes(os.urandom(FIVE_MB))
    assert sftp(pi, f"put {blob} there", f"get there {back}").returncode == 0
    assert sha256(pi.seen("/home/pi/there")) == sha256(back) == sha256(blob)


def test_its_runtime_gives_what_this_machine_s_gives(pi: Pi, tmp_path: Path) -> None:
    """Hold its answers to a step, or to what golden vectors allow: hardly farther from the float network.

    Other integer kernels round otherwise, and which this machine has depends on its processor.
    """
    precisions: tuple[Precision, ...] = ("fp32", "w8a8")
    formats = tuple((precision, default_io(precision)) for precision in precisions)
    request = conversion.Request(small_variant("lite"), formats, "random", "builtin", samples=16, num_classes=10)
    exact, artifact = conversion.run(request, tmp_path, False, (), silent, lambda _: None)
    runner = Runner(artifact.path.read_bytes())
    picture = pictures(1)[0]
    wanted, here = Runner(exact.path.read_bytes()).logits(picture), runner.logits(picture)
    np.save(tmp_path / "input.npy", encode_pixels(picture, runner.input))
    (tmp_path / "program.py").write_text(PROGRAM)
    files = (artifact.path, tmp_path / "input.npy", tmp_path / "program.py")
    assert sftp(pi, *(f"put {path} {path.name}" for path in files)).returncode == 0
    answer = ssh(pi, f"python3 program.py {artifact.path.name} input.npy")
    assert answer.returncode == 0, answer.stderr
    answers = decode(np.array(json.loads(answer.stdout), dtype=np.float32), runner.outputs[0])
    steps = np.abs(answers - here).max() / runner.outputs[0].scale
    ratio = np.abs(answers - wanted).max() / np.abs(here - wanted).max()
    assert steps <= 1.01 or ratio <= LARGEST_ERROR_RATIO, f"{steps:.1f} steps apart, {ratio:.2f} times as far off"


def test_a_private_environment_can_be_made(pi: Pi) -> None:
    answer = ssh(pi, "python3 -m venv --without-pip v && v/bin/python -c 'import sys; print(sys.prefix)'")
    assert answer.stdout == "/home/pi/v\n", answer.stderr


def test_cut_stall_and_reboot(pi: Pi, tmp_path: Path) -> None:
    blob = tmp_path / "blob"
    blob.write_bytes(os.urandom(FIVE_MB))
    with cutting_proxy(pi.port) as proxy:
        proxy.cut_after(3_000_000)
        assert ssh(pi, "cat > cut", *through(proxy.port, pi), content=blob).returncode == 255
        assert proxy.sent_bytes == 3_000_000
        # More than the 2 MiB that sshd takes before the program reads, so the program had begun.
        assert pi.seen("/home/pi/cut").stat().st_size < 3_000_000
        proxy.stall()
        threading.Timer(1.0, proxy.let_through).start()
        start_s = time.monotonic()
        assert ssh(pi, "echo late", *through(proxy.port, pi)).stdout == "late\n"
        assert time.monotonic() - start_s > 0.9
    ssh(pi, "nohup setsid sleep 300 > /dev/null 2>&1 < /dev/null &")
    # The shell may be gone before its background job is a program of its own.
    wait_until(lambda: pi.running() == ["sleep 300"])
    assert pi.wait_until_idle(0.5) == ["sleep 300"]
    pi.restart()
    assert pi.running() == []
    assert ssh(pi, "echo again").stdout == "again\n"


def test_a_small_disk_fills_and_nothing_stays_behind(tmp_path: Path) -> None:
    if reason := missing("arm64"):
        pytest.skip(reason)
    with emulated_pi(tmp_path, "arm64", runtime_installed=False, disk_bytes=2_000_000) as pi:
        answer = ssh(pi, "head -c 3000000 /dev/zero > more; python3 -c 'import ai_edge_litert'")
        assert "No space left" in answer.stderr
        assert "No module named 'ai_edge_litert'" in answer.stderr
        assert [path for path in pi.wheels.glob("ai_edge_litert-*_aarch64.whl")]
    assert wait_for_greeting(pi.port, 0.2) == b""
    assert not (tmp_path / "root").exists()
    assert str(tmp_path) not in Path("/proc/self/mountinfo").read_text()
