"""Files on disk: an artifact is whole or not there, and one that was tampered with is named in one line."""

import io
import json
import os
import shutil
import signal
import subprocess
import sys
import time
import zipfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from converters.calibration_source import open_calibration
from converters.convert import float_network
from converters.job import Job
from converters.probe import golden_images
from converters.write import needs_calibration, write_formats
from edgenet.__main__ import main
from edgenet.artifact import Artifact, find_artifacts
from edgenet.atomic import write_files
from edgenet.errors import InputError
from edgenet.precision import Precision, default_io
from tests.networks import pictures, small_weights

ROOT = Path(__file__).resolve().parent.parent
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(ROOT)}
STEM = "lite0-w8a8-random"


def write_small(out: Path, precisions: Sequence[Precision], family: str = "lite") -> list[Artifact]:
    """Write artifacts of a family's small network, calibrated on 16 procedural images."""
    weights = small_weights(family)
    images = open_calibration("builtin", weights.preprocessing, 16) if needs_calibration(precisions) else None
    formats = tuple((precision, default_io(precision)) for precision in precisions)
    job = Job(formats, out, images, None, golden_images(weights.preprocessing))
    return write_formats(float_network(weights, pictures(1)), job)


def snapshot(folder: Path) -> dict[str, bytes]:
    """Return what a folder holds, hidden files included."""
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with three artifacts of one small network."""
    folder = tmp_path_factory.mktemp("written")
    write_small(folder, ["fp32", "w8a8", "w8a16"])
    return folder


@pytest.fixture
def copied(written: Path, tmp_path: Path) -> Path:
    """Return a copy of the artifacts to do harm to."""
    return shutil.copytree(written, tmp_path / "copied")


# Whole or not there


def test_all_files_are_written_or_none(tmp_path: Path) -> None:
    first, second = tmp_path / "a" / "first", tmp_path / "a" / "second"
    write_files({first: b"1", second: b"2"})
    write_files({first: b"one", second: b"two"})
    assert snapshot(first.parent) == {"first": b"one", "second": b"two"}
    assert first.stat().st_mode & 0o777 == 0o644


def test_a_folder_in_the_place_of_one_file_leaves_the_others_alone(tmp_path: Path) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    first.write_bytes(b"earlier")
    second.mkdir()
    with pytest.raises(InputError, match=r"cannot write .*second: Is a directory"):
        write_files({first: b"new", second: b"new"})
    assert snapshot(tmp_path) == {"first": b"earlier"}


def test_a_parent_that_is_a_file_is_one_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"earlier")
    with pytest.raises(InputError, match=r"cannot write .*file.*--out DIR"):
        write_files({tmp_path / "file" / "first": b"new"})
    assert snapshot(tmp_path) == {"file": b"earlier"}


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write to read-only folders")
def test_a_read_only_folder_is_one_error(tmp_path: Path) -> None:
    (tmp_path / "first").write_bytes(b"earlier")
    tmp_path.chmod(0o555)
    try:
        with pytest.raises(InputError, match=r"cannot write .*Permission denied; .*--out DIR"):
            write_files({tmp_path / "first": b"new"})
    finally:
        tmp_path.chmod(0o755)
    assert snapshot(tmp_path) == {"first": b"earlier"}


# $0 the folder to mount on, $1 the options; then a command that runs there.
_MOUNT = 'mount -t tmpfs -o size=256k tmpfs "$0" && echo earlier >"$0/kept" && mount -o "remount,$1" "$0" && shift'


@dataclass(frozen=True)
class Disk:
    id: str
    options: str
    says: str


DISKS = [
    Disk("full", "size=256k", "No space left on device; 1.2 MB are needed"),
    Disk("read-only", "ro", "Read-only file system"),
]


@pytest.mark.parametrize("disk", DISKS, ids=lambda disk: disk.id)
def test_a_disk_that_takes_nothing_is_one_line(written: Path, tmp_path: Path, disk: Disk) -> None:
    namespace = ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c"]
    if shutil.which("unshare") is None or _run([*namespace, _MOUNT, str(tmp_path), disk.options]).returncode:
        pytest.skip("no small disk can be mounted here: needs unshare and user namespaces")
    quantize = [sys.executable, "-m", "edgenet", "quantize", str(written / "lite0-fp32-random.tflite"), "--fp16"]
    script = _MOUNT + '; "$@" --out "$0"; code=$?; ls -A "$0"; cat "$0/kept"; exit $code'
    done = _run([*namespace, script, str(tmp_path), disk.options, *quantize])
    assert (done.returncode, done.stdout) == (2, "kept\nearlier\n")
    assert disk.says in _only_error(done.stderr)


def test_a_file_that_cannot_grow_is_one_line(written: Path, tmp_path: Path) -> None:
    # Stands in for a full disk where none can be mounted: the kernel refuses every byte after the first 100 000.
    script = (
        "import resource, sys; resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000));"
        "from edgenet.__main__ import main; sys.exit(main())"
    )
    (tmp_path / "lite0-fp16-random.tflite").write_bytes(b"earlier")
    quantize = ["quantize", str(written / "lite0-fp32-random.tflite"), "--fp16", "--out", str(tmp_path)]
    done = _run([sys.executable, "-c", script, *quantize])
    assert done.returncode == 2
    assert "File too large; 1.2 MB are needed" in _only_error(done.stderr)
    assert snapshot(tmp_path) == {"lite0-fp16-random.tflite": b"earlier"}


def _run(command: list[str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, env=ENVIRONMENT, capture_output=True, text=True, check=False, timeout=60)


def _only_error(stderr: str) -> str:
    """Return the last line, which must be the only one about an error."""
    lines = stderr.splitlines()
    assert [line for line in lines if "rror" in line or "Traceback" in line] == lines[-1:], stderr
    return lines[-1]


@dataclass(frozen=True)
class Interrupted:
    id: str
    arguments: list[str]
    step: str  # the line on stderr after which the interrupt comes


INTERRUPTED = [
    Interrupted("convert", ["convert", "--variant", "lite0", "--weights", "random", "--int8"], "calibrating (200)"),
    # w8a16, because its kernels are slow: the step is under way for two seconds.
    Interrupted("quantize", ["quantize", "lite0-fp32-random.tflite", "--precision", "w8a16"], "verifying w8a16"),
]


@pytest.mark.parametrize("case", INTERRUPTED, ids=lambda case: case.id)
def test_an_interrupt_leaves_the_earlier_artifact(copied: Path, case: Interrupted) -> None:
    temporary = copied / "tmp"
    temporary.mkdir()
    before = snapshot(copied)
    done = _interrupt(case, copied, {**ENVIRONMENT, "TMPDIR": str(temporary)})
    assert done.returncode == 130
    assert _only_error(done.stderr) == "error: interrupted"
    assert snapshot(copied) == before
    assert list(temporary.iterdir()) == []
    assert [artifact.manifest.precision for artifact in find_artifacts(copied)] == ["fp32", "w8a16", "w8a8"]


def _interrupt(case: Interrupted, folder: Path, environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "edgenet", *case.arguments]
    with subprocess.Popen(
        command, cwd=folder, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    ) as child:
        assert child.stderr is not None
        said = ""
        for line in child.stderr:
            said += line
            if line.startswith(case.step):
                time.sleep(0.1)  # so that the step is under way
                child.send_signal(signal.SIGINT)
        return subprocess.CompletedProcess(command, child.wait(60), "", said)


# Tampered manifests and models

Edit = Callable[[dict[str, Any]], object]


@dataclass(frozen=True)
class Manifested:
    """A change to a manifest's document, and what the one line says."""

    id: str
    edit: Edit
    says: str


def _inner(*keys: str, value: Any) -> Edit:
    def edit(document: dict[str, Any]) -> None:
        for key in keys[:-1]:
            document = document[key]
        document[keys[-1]] = value

    return edit


_NAME = f"{STEM}.manifest.json"
MANIFESTS = [
    Manifested("unknown key", _inner("surprise", value=1), f"{_NAME} is not a manifest: surprise: Extra inputs"),
    Manifested("unknown inner key", _inner("weights", "gift", value=1), "is not a manifest: weights.gift: Extra"),
    Manifested("later schema", _inner("schema_version", value=2), f"{_NAME} has schema_version 2; allowed: 1"),
    Manifested("no schema", lambda document: document.pop("schema_version"), "has schema_version 0; allowed: 1"),
    Manifested("missing key", lambda document: document.pop("golden"), "is not a manifest: golden: Field required"),
    Manifested("text for a number", _inner("size_bytes", value="12"), "size_bytes: Input should be a valid integer"),
    Manifested("unknown precision", _inner("precision", value="w4a4"), "precision: Input should be 'fp32', 'fp16'"),
    Manifested(
        "crop of nothing",
        _inner("preprocessing", "crop_fraction", value=0.0),
        "preprocessing.crop_fraction: Input should be greater",
    ),
    Manifested(
        "mean of NaN",
        _inner("preprocessing", "mean", value=[float("nan")] * 3),
        "preprocessing.mean.0: Input should be a finite",
    ),
    Manifested("another side", _inner("preprocessing", "side_px", value=10**9), "side"),
    Manifested("another sha256", _inner("sha256", value="0" * 64), f"{STEM}.tflite is not the file of its manifest"),
    Manifested("file above", _inner("file", value=f"../{STEM}.tflite"), "file: Value error, not a plain file name"),
    Manifested("file elsewhere", _inner("file", value="/etc/hostname"), "file: Value error, not a plain file name"),
    Manifested("the folder", _inner("file", value=".."), "file: Value error, not a plain file name"),
    Manifested("no name", _inner("file", value=""), "file: Value error, not a plain file name"),
    Manifested("golden above", _inner("golden", value="../x.golden.npz"), "golden: Value error, not a plain file"),
    Manifested("golden elsewhere", _inner("golden", value="/dev/zero"), "golden: Value error, not a plain file name"),
    Manifested("no golden", _inner("golden", value="x.golden.npz"), "cannot read the golden vectors x.golden.npz"),
]


@pytest.mark.parametrize("case", MANIFESTS, ids=lambda case: case.id)
def test_a_tampered_manifest_is_one_line(copied: Path, capsys: pytest.CaptureFixture[str], case: Manifested) -> None:
    path = copied / _NAME
    document = json.loads(path.read_text())
    case.edit(document)
    path.write_text(json.dumps(document))
    assert case.says in _refused(copied / f"{STEM}.tflite", capsys)


BROKEN = {
    "empty": b"",
    "truncated": b'{"schema_version": 1, "file": "lite0',
    "a list": b"[1]",
    "not UTF-8": b'{"schema_version": 1, "file": "\xff"}',
    "nested too deeply": b"[" * 100_000,
}


@pytest.mark.parametrize("content", BROKEN.values(), ids=BROKEN)
def test_a_manifest_that_is_none_is_one_line(copied: Path, capsys: pytest.CaptureFixture[str], content: bytes) -> None:
    (copied / _NAME).write_bytes(content)
    assert f"{_NAME} is not a manifest: " in _refused(copied / f"{STEM}.tflite", capsys)


def test_a_manifest_vouches_for_no_other_file(copied: Path, capsys: pytest.CaptureFixture[str]) -> None:
    # A right file beside a wrong one must not lend it its evidence.
    (copied / "wrong.tflite").write_bytes(b"anything")
    shutil.copy(copied / _NAME, copied / "wrong.manifest.json")
    assert f"wrong.manifest.json is the manifest of {STEM}.tflite" in _refused(copied / "wrong.tflite", capsys)


@pytest.mark.parametrize("verb", ["verify", "diagnose"])
def test_a_file_that_belongs_to_another_is_not_taken_for_it(
    copied: Path, capsys: pytest.CaptureFixture[str], verb: str
) -> None:
    (copied / f"{STEM}.ort").write_bytes(b"optimized")
    assert main([verb, str(copied / f"{STEM}.ort")]) == 2
    assert f"{STEM}.ort has no manifest of its own; allowed: a .tflite or .onnx file" in capsys.readouterr().err


def test_a_changed_model_is_one_line_for_every_verb(copied: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = copied / "lite0-fp32-random.tflite"
    content = bytearray(path.read_bytes())
    content[-5] ^= 0x40  # in a constant: the file still loads and runs
    path.write_bytes(content)
    for verb, *flags in (["verify"], ["info"], ["quantize", "--int8"]):
        assert f"{path.name} is not the file of its manifest (sha256 differs)" in _refused(path, capsys, verb, *flags)
    path.unlink()
    assert f"{path} does not exist" in _refused(path, capsys)
    assert f"{path.name} is missing beside its manifest" in _refused(copied, capsys)


def test_a_file_without_its_manifest_is_one_line(copied: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (copied / _NAME).unlink()
    line = _refused(copied / f"{STEM}.tflite", capsys)
    assert f"{_NAME}: No such file or directory; keep the .manifest.json with its file" in line


def _refused(path: Path, capsys: pytest.CaptureFixture[str], verb: str = "verify", *flags: str) -> str:
    code = main([verb, str(path), *flags])
    out, err = capsys.readouterr()
    assert (code, out) == (2, "")
    return _only_error(err)


# Tampered golden vectors


def _npz(**arrays: Any) -> bytes:
    stream = io.BytesIO()
    np.savez(stream, **arrays)
    return stream.getvalue()


def _members(**contents: bytes) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for name, content in contents.items():
            archive.writestr(f"{name}.npy", content)
    return stream.getvalue()


def _npy(array: Any) -> bytes:
    stream = io.BytesIO()
    np.save(stream, array)
    return stream.getvalue()


class _Planted:
    """What a pickle would run if anybody loaded it."""

    def __reduce__(self) -> tuple[Callable[..., object], tuple[str, ...]]:
        return os.mkdir, ("planted",)


_PIXELS, _LOGITS = np.zeros((3, 64, 64, 3), np.uint8), np.zeros((3, 10), np.float32)
_HUGE = _npy(_LOGITS).replace(b"'shape': (3, 10), }            ", b"'shape': (300000000000, 10), } ")
GOLDEN: dict[str, Callable[[bytes], bytes]] = {
    "empty": lambda content: b"",
    "truncated": lambda content: content[: len(content) // 2],
    "text": lambda content: b"pixels,logits\n",
    "bytes flipped": lambda content: content[:200] + bytes(255 - byte for byte in content[200:300]) + content[300:],
    "one array": lambda content: _npy(_PIXELS),
    "an array less": lambda content: _npz(pixels=_PIXELS, logits=_LOGITS),
    "pickled": lambda content: _npz(pixels=np.array([_Planted()]), logits=_LOGITS, float_logits=_LOGITS),
    "huge shape": lambda content: _members(pixels=_npy(_PIXELS), logits=_HUGE, float_logits=_HUGE),
    "no header": lambda content: _members(pixels=b"", logits=b"", float_logits=b""),
    "no image": lambda content: _npz(pixels=_PIXELS[:0], logits=_LOGITS[:0], float_logits=_LOGITS[:0]),
    "fewer logits": lambda content: _npz(pixels=_PIXELS, logits=_LOGITS[:1], float_logits=_LOGITS),
    "other classes": lambda content: _npz(pixels=_PIXELS, logits=_LOGITS[:, :7], float_logits=_LOGITS[:, :7]),
    "one class for all": lambda content: _npz(pixels=_PIXELS, logits=_LOGITS[:, :1], float_logits=_LOGITS[:, :1]),
    "float pixels": lambda content: _npz(pixels=_PIXELS + 0.5, logits=_LOGITS, float_logits=_LOGITS),
    "text for logits": lambda content: _npz(pixels=_PIXELS, logits=_LOGITS.astype(str), float_logits=_LOGITS),
    "NaN": lambda content: _npz(pixels=_PIXELS, logits=_LOGITS + np.nan, float_logits=_LOGITS),
    "another side": lambda content: _npz(pixels=_PIXELS[:, :32, :32], logits=_LOGITS, float_logits=_LOGITS),
}


@pytest.mark.parametrize("tamper", GOLDEN.values(), ids=GOLDEN)
def test_tampered_golden_vectors_are_one_line(
    copied: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    tamper: Callable[[bytes], bytes],
) -> None:
    monkeypatch.chdir(copied)
    path = copied / f"{STEM}.golden.npz"
    path.write_bytes(tamper(path.read_bytes()))
    assert "golden" in _refused(copied / f"{STEM}.tflite", capsys)
    assert not (copied / "planted").exists()
