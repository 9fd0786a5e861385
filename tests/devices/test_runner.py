"""The on-device runner as one file: under both runtimes, and through crashes, hangs and a lost host."""

import ast
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
import pytest

from benchmarks.runner_document import RunnerDocument, parse_document
from converters import conversion
from devices.local import LocalDevice
from devices.runner import PARTS, runner_source
from devices.shell_lock import shell_lock
from edgenet.artifact import find_artifacts, pack_golden, read_golden
from edgenet.errors import MissingError
from edgenet.progress import silent
from edgenet.weights.cache import file_digest
from tests.networks import small_variant
from tests.test_old_runtime import VARIABLE as OLD_PYTHON

QUICK = {
    "name": "quick", "warmup_runs": 1, "warmup_s": 0.0, "min_runs": 4, "min_s": 0.05, "max_s": 20.0, "block_s": 0.02,
    "cooldown_s": 0.0, "cold_starts": 1,
}  # fmt: skip


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with runner.py and the files of one small network, fp32 and w8a8."""
    folder = tmp_path_factory.mktemp("runner")
    (folder / "runner.py").write_text(runner_source(), encoding="utf-8")
    formats = (("fp32", "float32"), ("w8a8", "uint8"))
    request = conversion.Request(small_variant("lite"), formats, "random", "builtin", 16, 0, 10, None)  # type: ignore[arg-type]  # formats are literals
    conversion.run(request, folder, False, (), silent, lambda text: None)
    return folder


def test_it_is_python_3_7() -> None:
    assert ast.parse(runner_source(), feature_version=(3, 7)).body
    with pytest.raises(SyntaxError):  # a part that used what came later would be found
        ast.parse(runner_source() + "\nif (later := 1): pass\n", feature_version=(3, 7))


def test_no_name_stands_in_two_parts() -> None:
    """The parts become one file: a name of one would hide that of another."""
    names: Counter[str] = Counter()
    for node in ast.parse(runner_source()).body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            names[node.name] += 1
        elif isinstance(node, ast.Assign):
            names.update(ast.unparse(target) for target in node.targets)
    assert names.most_common(1)[0][1] == 1, names.most_common(3)
    assert "devices.on_device" not in runner_source()


def test_every_part_is_in_it() -> None:
    parts = {path.stem for path in (Path(__file__).parents[2] / "devices" / "on_device").glob("*.py")}
    assert parts - {"__init__"} == set(PARTS)


def run_alone(python: str, folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [python, "runner.py", "--runs", "4", "--seconds", "0.1", "--home", str(folder / "home"), *arguments]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, timeout=120)


def test_alone_it_prints_what_a_host_gets(folder: Path) -> None:
    files = ("lite0-fp32-random.tflite", "lite0-w8a8-random.tflite")
    done = run_alone(sys.executable, folder, *files, "--threads", "1,2", "--seconds", "0.6")
    assert done.returncode == 0, done.stderr
    document = parse_document(done.stdout.encode(), "stdout")
    assert [(row.model, row.setting.threads) for row in document.measurements] == [(0, 1), (1, 1), (0, 2), (1, 2)]
    for row in document.measurements:
        assert row.golden and row.golden.passed and row.golden.max_abs_error == 0
        assert row.delegate.applied == "XNNPACK" and row.delegate.partitions == 1
        assert len(row.cold_starts) == 5
        assert row.memory
        assert row.memory.before_load_bytes <= row.memory.after_load_bytes <= row.memory.peak_rss_bytes
    turns = sorted((block.start_s, row.model) for row in document.measurements[:2] for block in row.blocks)
    models = [model for _, model in turns]
    assert [set(pair) for pair in zip(models[::2], models[1::2], strict=True)] == [{0, 1}] * (len(models) // 2)
    assert models[:4] == [0, 1, 1, 0]  # the second processes run in the other order


def test_per_op_times_bear_the_layers_names(folder: Path) -> None:
    done = run_alone(sys.executable, folder, "lite0-fp32-random.tflite")
    (row,) = parse_document(done.stdout.encode(), "stdout").measurements
    assert row.ops_note == ""
    assert {"conv_stem", "conv_head", "logits"} <= {op.name for op in row.ops}
    median_s = float(np.median([sample for block in row.blocks for sample in block.samples_s]))
    assert 0.3 * median_s < sum(op.mean_s for op in row.ops) < 3 * median_s


def test_it_runs_alike_under_the_old_runtime(folder: Path) -> None:
    if OLD_PYTHON not in os.environ:
        pytest.skip(f"{OLD_PYTHON} names no Python with tflite-runtime 2.14")
    done = run_alone(os.environ[OLD_PYTHON], folder, "lite0-fp32-random.tflite", "lite0-w8a8-random.tflite")
    assert done.returncode == 0, done.stderr
    document = parse_document(done.stdout.encode(), "stdout")
    assert {model.runtime.name for model in document.models} == {"tflite-runtime"}
    assert [row.delegate.applied for row in document.measurements] == ["XNNPACK", ""]  # none for int8 in 2.14
    assert all(row.golden and row.golden.passed for row in document.measurements)
    assert "ai-edge-litert" in document.measurements[0].ops_note


def test_an_onnx_file_runs_under_onnx_runtime(folder: Path) -> None:
    from onnx import TensorProto, helper, numpy_helper, save

    weights = numpy_helper.from_array(np.ones((8, 3, 3, 3), np.float32), "weights")
    ends = [
        helper.make_tensor_value_info("image", TensorProto.FLOAT, [1, 3, 32, 32]),
        helper.make_tensor_value_info("logits", TensorProto.FLOAT, [1, 8, 30, 30]),
    ]
    node = helper.make_node("Conv", ["image", "weights"], ["logits"], name="conv_stem")
    graph = helper.make_graph([node], "small", ends[:1], ends[1:], [weights])
    save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9), folder / "conv.onnx")
    done = run_alone(sys.executable, folder, "conv.onnx")
    assert done.returncode == 0, done.stderr
    document = parse_document(done.stdout.encode(), "stdout")
    assert document.models[0].runtime.name == "onnxruntime"
    (row,) = document.measurements
    assert (row.setting.delegate, row.golden) == ("cpu", None)
    assert "Conv" in {op.kind for op in row.ops}


@dataclass(frozen=True)
class Wrong:
    arguments: tuple[str, ...]
    code: int
    says: str


WRONG = [
    Wrong(("nothing.tflite",), 2, "cannot use nothing.tflite: No such file or directory"),
    Wrong(("lite0-fp32-random.tflite", "--delegate", "nothing.so"), 3, "no delegate 'nothing.so'"),
    Wrong(("lite0-fp32-random.tflite", "--delegate", "edgetpu"), 3, "no libedgetpu.so.1 here ("),
    Wrong(("broken.tflite",), 1, "broken.tflite: "),
    Wrong(("off.tflite",), 1, "off.tflite answers wrongly on this device"),
    Wrong((), 2, "name a model file"),
    Wrong((".",), 2, "cannot use .: Is a directory"),
    Wrong(("lite0-fp32-random.tflite", "--threads", "1,x"), 2, "argument --threads: invalid"),
    Wrong(("lite0-fp32-random.tflite", "--runs", "0"), 2, "argument --runs: invalid"),
    Wrong(("lite0-fp32-random.tflite", "--seconds", "nan"), 2, "argument --seconds: invalid"),
]


@pytest.mark.parametrize("case", WRONG, ids=lambda case: " ".join(case.arguments) or "nothing")
def test_what_goes_wrong_is_one_line(folder: Path, case: Wrong) -> None:
    (folder / "broken.tflite").write_bytes((folder / "lite0-fp32-random.tflite").read_bytes()[:2000])
    _write_wrong_answers(folder)
    done = run_alone(sys.executable, folder, *case.arguments)
    assert (done.returncode, done.stdout) == (case.code, "")
    assert case.says in done.stderr.splitlines()[-1]


def _write_wrong_answers(folder: Path) -> None:
    (artifact,) = find_artifacts(folder / "lite0-w8a8-random.tflite")
    golden = read_golden(artifact)
    mirrored = replace(golden, logits=golden.logits[:, ::-1].copy(), float_logits=golden.float_logits[:, ::-1].copy())
    (folder / "off.golden.npz").write_bytes(pack_golden(mirrored))
    shutil.copy(artifact.path, folder / "off.tflite")


def _delegate_library(folder: Path, name: str, body: str) -> Path:
    """Return a library that does something bad when it is loaded, as a broken delegate would."""
    if not shutil.which("gcc"):
        pytest.skip("no gcc to build a broken delegate with")
    source, library = folder / f"{name}.c", folder / f"{name}.so"
    code = (
        f"#include <signal.h>\n#include <unistd.h>\n__attribute__((constructor)) static void load(void) {{ {body} }}\n"
    )
    source.write_text(code)
    subprocess.run(["gcc", "-shared", "-fPIC", str(source), "-o", str(library)], check=True)
    return library


def test_a_crash_of_the_runtime_is_told_and_not_inherited(folder: Path) -> None:
    library = _delegate_library(folder, "crash", "raise(SIGSEGV);")
    done = run_alone(sys.executable, folder, "lite0-fp32-random.tflite", "--delegate", str(library))
    assert done.returncode == 1
    assert "the runtime crashed (SIGSEGV) while loading lite0-fp32-random.tflite" in done.stderr


class Served:
    """A runner that is spoken to, as a host does it."""

    def __init__(self, folder: Path, home: str = "home") -> None:
        command = [sys.executable, str(folder / "runner.py"), "--home", str(folder / home), "--serve", "me@host"]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.folder = folder

    def read(self) -> dict[str, Any]:
        """Return the next event that is no progress."""
        assert self.process.stdout is not None
        while True:
            event: dict[str, Any] = json.loads(self.process.stdout.readline())
            if event["event"] != "progress":
                return event

    def measure(self, **changes: object) -> None:
        """Ask for a short measurement of the small fp32 file."""
        path = self.folder / "lite0-fp32-random.tflite"
        model = {
            "name": path.name, "path": str(path), "sha256": file_digest(path), "size_bytes": path.stat().st_size,
            "format": "tflite", "golden": "", "delegate": changes.pop("delegate", "xnnpack"),
        }  # fmt: skip
        job = {
            "models": [model], "protocol": {**QUICK, **changes.pop("protocol", {})}, "threads": [1], "processes": [1],  # type: ignore[dict-item]  # a dict
            "batches": [1], "affinity": [], "cached": False, "fix_governor": False, "timeout_s": 60.0, **changes,
        }  # fmt: skip
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps({"do": "measure", "job": job}) + "\n")
        self.process.stdin.flush()

    def children(self) -> list[int]:
        """Return the processes that it has started."""
        listing = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children")
        return [int(word) for word in listing.read_text().split()]


@pytest.fixture
def served(folder: Path) -> Iterator[Served]:
    """Return a runner that is ready."""
    served = Served(folder)
    assert served.read() == {"event": "ready", "version": 1}
    yield served
    served.process.kill()
    served.process.communicate()


def wait_until_gone(processes: list[int]) -> None:
    deadline_s = time.monotonic() + 10
    while any(Path(f"/proc/{number}").exists() for number in processes):
        assert time.monotonic() < deadline_s, "a process was left running"
        time.sleep(0.05)


def measuring(served: Served) -> list[int]:
    """Wait until a measuring process runs; return what is running."""
    deadline_s = time.monotonic() + 20
    while not served.children():
        assert time.monotonic() < deadline_s
        time.sleep(0.05)
    time.sleep(0.5)
    return served.children()


def test_a_hang_is_ended_and_told(served: Served) -> None:
    library = _delegate_library(served.folder, "hang", "for (;;) pause();")
    served.measure(delegate=str(library), timeout_s=1.5)
    assert served.read() == {
        "event": "failed",
        "kind": "hang",
        "message": "lite0-fp32-random.tflite gave no answer for 1.5 s while loading",
    }
    wait_until_gone(served.children())


def test_after_a_failure_it_measures_again(served: Served) -> None:
    served.measure(delegate="nothing.so")
    assert served.read()["kind"] == "delegate"
    served.measure(processes=[2], batches=[3])
    document = served.read()["document"]
    (row,) = RunnerDocument.model_validate_json(json.dumps(document)).measurements
    assert {block.process for block in row.blocks} == {0, 1}
    assert row.setting.batch == 3


def test_a_damaged_file_is_refused(served: Served) -> None:
    path = served.folder / "lite0-fp32-random.tflite"
    content = path.read_bytes()
    served.measure()
    first = served.read()
    assert first["event"] == "result"
    try:
        path.write_bytes(content + b"?")
        served.measure(models=[{**first["document"]["models"][0]}])
        assert served.read()["kind"] == "file"
    finally:
        path.write_bytes(content)


def test_files_that_nobody_used_for_two_weeks_are_forgotten(folder: Path, tmp_path: Path) -> None:
    files = tmp_path / "home" / "files"
    files.mkdir(parents=True)
    for name, age_days in (("old", 15), ("old.part", 15), ("new", 13)):
        (files / name).write_bytes(b"content")
        os.utime(files / name, (time.time() - age_days * 86400,) * 2)
    shutil.copy(folder / "runner.py", tmp_path)
    served = Served(tmp_path)
    assert served.read()["event"] == "ready"
    assert [path.name for path in files.iterdir()] == ["new"]
    served.process.kill()
    served.process.communicate()


def test_a_second_session_is_told_whose_the_first_is(served: Served) -> None:
    other = Served(served.folder)
    event = other.read()
    assert (event["event"], event["owner"]) == ("busy", "me@host")
    assert 0 <= event["age_s"] < 60
    assert other.process.wait(10) == 4
    other.process.communicate()


def test_who_measures_without_python_waits_for_the_runner_and_the_other_way_round(folder: Path) -> None:
    home = folder / "shared home"
    device = LocalDevice(home=home)
    served = Served(folder, home=home.name)
    assert served.read()["event"] == "ready"
    with pytest.raises(MissingError, match="is in use by me@host for 0 min"), shell_lock(device, PurePosixPath(home)):
        pass
    served.process.kill()
    served.process.communicate()
    with shell_lock(device, PurePosixPath(home)):
        other = Served(folder, home=home.name)
        assert other.read()["event"] == "busy"
        other.process.communicate()


@pytest.mark.parametrize("way", ["end of input", "stop", "SIGTERM", "SIGKILL"])
def test_when_the_host_goes_nothing_is_left_running(folder: Path, way: str) -> None:
    served = Served(folder, home=f"home {way}")
    served.read()
    served.measure(protocol={"min_s": 60.0})
    processes = [served.process.pid, *measuring(served)]
    assert len(processes) == 2
    assert served.process.stdin is not None
    if way == "end of input":
        served.process.stdin.close()
    elif way == "stop":
        served.process.stdin.write('{"do": "stop"}\n')
        served.process.stdin.flush()
    else:
        served.process.send_signal(signal.Signals[way])
    served.process.wait(10)
    wait_until_gone(processes[1:])
    again = Served(folder, home=f"home {way}")  # and the lock is free
    assert again.read()["event"] == "ready"
    for process in (served.process, again.process):
        process.kill()
        process.stdout and process.stdout.close()
        process.stdin and process.stdin.close()
        process.wait()


def test_a_silent_host_is_gone(folder: Path, tmp_path: Path) -> None:
    source = runner_source().replace("SILENCE_S = 30.0", "SILENCE_S = 1.0")
    assert source != runner_source()
    (tmp_path / "runner.py").write_text(source, encoding="utf-8")
    served = Served(tmp_path)
    assert served.read()["event"] == "ready"
    assert served.process.wait(10) == 0
    served.process.communicate()
