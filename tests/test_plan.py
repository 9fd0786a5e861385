"""Which files `edgenet benchmark` takes, by which names, and what it refuses before anything starts."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

import edgenet
from benchmarks.measure import result_name, write_results
from benchmarks.plan import Plan, find_models
from benchmarks.protocol import PROTOCOLS, binary_rules, parse_protocol
from converters import conversion
from edgenet.errors import InputError
from edgenet.progress import silent
from tests.networks import small_variant
from tests.results import DEVICE, result

TFLITE = b"\0\0\0\0TFL3" + bytes(8)
FP32, W8A8 = "lite0-fp32-random", "lite0-w8a8-random"


@pytest.fixture(scope="module")
def artifacts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with a small network as fp32 and w8a8 artifacts."""
    folder = tmp_path_factory.mktemp("artifacts")
    request = conversion.Request(
        small_variant("lite"), (("fp32", "float32"), ("w8a8", "uint8")), "random", "builtin", 16, 0, 10, None
    )
    conversion.run(request, folder, False, (), silent, lambda text: None)
    return folder


@pytest.fixture
def folder(artifacts: Path, tmp_path: Path) -> Path:
    return shutil.copytree(artifacts, tmp_path / "lite")


def labels(root: Path, *names: str) -> list[str]:
    """Write models without manifests under `root` and return the labels that they get."""
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(TFLITE)
    return [model.label for model in find_models(tuple(root / name for name in names))]


LABELS = {
    "of one folder": (("a.tflite", "b.tflite"), ["a.tflite", "b.tflite"]),
    "of two folders": (("x/m.tflite", "y/m.tflite"), ["x-m.tflite", "y-m.tflite"]),
    "one is unlike the others": (("x/m.tflite", "y/m.tflite", "y/n.tflite"), ["x-m.tflite", "y-m.tflite", "n.tflite"]),
    "folders alike as well": (("p/x/m.tflite", "q/x/m.tflite"), ["x-m.tflite", "x-m-2.tflite"]),
    "a file twice": (("x/m.tflite", "x/m.tflite"), ["x-m.tflite", "x-m-2.tflite"]),
    "a name that another gets": (
        ("p/x/m.tflite", "q/x/m.tflite", "x-m-2.tflite"),
        ["x-m.tflite", "x-m-2.tflite", "x-m-2-2.tflite"],
    ),
    "a name that another has": (
        ("x-m.tflite", "x/m.tflite", "y/m.tflite"),
        ["x-m.tflite", "x-m-2.tflite", "y-m.tflite"],
    ),
    "signs of a terminal": (("a\x1b[2J\n.tflite", "b.tflite"), ["a_[2J_.tflite", "b.tflite"]),
    "no UTF-8": (("caf\udce9.tflite",), ["caf_.tflite"]),
    "other letters": (("Größe 模型.tflite",), ["Größe 模型.tflite"]),
}


@pytest.mark.parametrize(("names", "expected"), LABELS.values(), ids=LABELS)
def test_labels(tmp_path: Path, names: tuple[str, ...], expected: list[str]) -> None:
    assert labels(tmp_path, *names) == expected


def test_a_folder_is_its_artifacts(folder: Path) -> None:
    found = find_models((folder,))
    assert [model.label for model in found] == [f"{FP32}.tflite", f"{W8A8}.tflite"]
    assert [model.golden for model in found] == [folder / f"{FP32}.golden.npz", folder / f"{W8A8}.golden.npz"]
    assert [model.manifest.precision for model in found if model.manifest] == ["fp32", "w8a8"]
    assert find_models((folder / f"{W8A8}.tflite",)) == found[1:]
    assert find_models((folder / f"{W8A8}.manifest.json",)) == found[1:]


def test_a_file_without_a_manifest_is_unchecked(folder: Path) -> None:
    (folder / f"{FP32}.manifest.json").unlink()
    (model,) = find_models((folder / f"{FP32}.tflite",))
    assert (model.manifest, model.golden, model.format) == (None, None, "tflite")


def test_the_manifest_of_another_file_of_that_stem(folder: Path) -> None:
    """lite0.manifest.json tells of lite0.tflite: whoever names lite0.onnx must not get that one measured."""
    (folder / f"{FP32}.onnx").write_bytes(b"some onnx")
    (model,) = find_models((folder / f"{FP32}.onnx",))
    assert (model.path.name, model.format, model.manifest) == (f"{FP32}.onnx", "onnx", None)
    (folder / f"{FP32}.txt").write_text("notes")
    with pytest.raises(InputError, match=r"\.txt is no model"):
        find_models((folder / f"{FP32}.txt",))


def test_what_a_file_holds_counts_not_its_name(tmp_path: Path) -> None:
    (tmp_path / "model.bin").write_bytes(TFLITE)
    (tmp_path / "model.onnx").write_bytes(TFLITE)
    assert [find_models((tmp_path / name,))[0].format for name in ("model.bin", "model.onnx")] == ["tflite", "tflite"]


def no_golden(folder: Path) -> Path:
    (folder / f"{FP32}.golden.npz").unlink()
    return folder / f"{FP32}.tflite"


def changed(folder: Path) -> Path:
    path = folder / f"{FP32}.tflite"
    path.write_bytes(path.read_bytes()[:-1] + b"x")
    return path


def renamed(folder: Path) -> Path:
    (folder / f"{FP32}.tflite").rename(folder / "mine.tflite")
    (folder / f"{FP32}.manifest.json").rename(folder / "mine.manifest.json")
    return folder / "mine.tflite"


def broken_manifest(folder: Path) -> Path:
    (folder / f"{FP32}.manifest.json").write_text("{")
    return folder / f"{FP32}.tflite"


def empty_folder(folder: Path) -> Path:
    (folder / "empty").mkdir()
    return folder / "empty"


def bare_folder(folder: Path) -> Path:
    (empty_folder(folder) / "model.tflite").write_bytes(TFLITE)
    return folder / "empty"


def written(content: bytes, name: str = "model.tflite") -> Callable[[Path], Path]:
    def write(folder: Path) -> Path:
        (folder / name).write_bytes(content)
        return folder / name

    return write


def endless_link(folder: Path) -> Path:
    (folder / "link.tflite").symlink_to("link.tflite")
    return folder / "link.tflite"


def pipe(folder: Path) -> Path:
    os.mkfifo(folder / "pipe.tflite")
    return folder / "pipe.tflite"


@dataclass(frozen=True)
class Wrong:
    make: Callable[[Path], Path]
    says: str


WRONG = {
    "no golden file": Wrong(no_golden, r"golden\.npz is missing beside .*; convert again: it holds the right answers"),
    "a changed file": Wrong(changed, r"is not the file of its manifest \(sha256 differs\)"),
    "a renamed file": Wrong(renamed, r"mine\.manifest\.json is the manifest of .*; rename neither"),
    "a broken manifest": Wrong(broken_manifest, "is not a manifest"),
    "an empty folder": Wrong(empty_folder, "no artifact in .*; allowed: a folder that edgenet convert wrote"),
    "a folder without manifests": Wrong(bare_folder, "no artifact in "),
    "nothing there": Wrong(lambda folder: folder / "no.tflite", r"cannot read .*no\.tflite: No such file.*; allowed"),
    "no link's end": Wrong(endless_link, r"cannot read .*link\.tflite: .*; allowed: \.tflite or \.onnx files"),
    "a pipe": Wrong(pipe, "is no file; allowed"),
    "an empty file": Wrong(written(b""), r"is no model; allowed: a \.tflite or \.onnx file"),
    "an empty .onnx": Wrong(written(b"", "model.onnx"), "is no model"),
    "a photo": Wrong(written(b"\xff\xd8\xff\xe0JFIFJFIF"), "is no model"),
    "half a head": Wrong(written(TFLITE[:7]), "is no model"),
}


@pytest.mark.parametrize("case", WRONG.values(), ids=WRONG)
def test_what_is_no_model(folder: Path, case: Wrong) -> None:
    with pytest.raises(InputError, match=case.says):
        find_models((case.make(folder),))


def test_results_of_one_stem_do_not_replace_each_other(tmp_path: Path) -> None:
    rows = [result("m"), result("m"), result("n")]
    rows[1] = rows[1].model_copy(update={"model": rows[1].model.model_copy(update={"file": "m.onnx"})})
    names = [path.name.partition("-")[0] for path in write_results(rows, tmp_path)]
    assert names == ["m.tflite@kitchen", "m.onnx@kitchen", "n@kitchen"]
    assert len(list(tmp_path.iterdir())) == 3


def test_a_result_has_a_name_that_a_disk_takes(tmp_path: Path) -> None:
    device = DEVICE.model_copy(update={"name": "ssh://pi@" + "k" * 250})
    (path,) = write_results([result("模" * 90, device=device)], tmp_path)
    assert path.is_file() and len(path.name.encode()) <= 255
    assert result_name("a", result()) == "a@kitchen-20261120-100000.benchmark.json"


PLAN = Plan((), PROTOCOLS["quick"], (1,), (1,), (1,), (), "", False, 120.0)
SETTINGS = {
    "no threads": ({"threads": ()}, r"threads cannot be \[\]"),
    "zero threads": ({"threads": (1, 0)}, r"threads cannot be \[1, 0\]; allowed: whole numbers from 1 on"),
    "threads twice": ({"threads": (2, 2)}, r"threads cannot be \[2, 2\]"),
    "no processes": ({"processes": (0,)}, r"processes cannot be \[0\]"),
    "a negative batch": ({"batches": (-1,)}, r"batches cannot be \[-1\]"),
    "a negative core": ({"affinity": (0, -2)}, r"affinity cannot be \[0, -2\]"),
    "no time": ({"timeout_s": 0.0}, "the timeout cannot be 0 s; allowed: 1 s or more"),
    "no number": ({"timeout_s": float("nan")}, "the timeout cannot be nan s"),
}


@pytest.mark.parametrize(("change", "says"), SETTINGS.values(), ids=SETTINGS)
def test_settings_that_nothing_can_be_measured_in(change: dict[str, object], says: str) -> None:
    with pytest.raises(InputError, match=says):
        replace(PLAN, **change)  # type: ignore[arg-type]  # some of them are wrong on purpose


@pytest.mark.parametrize("cooldown_s", [-1.0, float("nan"), float("inf")])
def test_a_cooldown_that_never_ends(cooldown_s: float) -> None:
    with pytest.raises(InputError, match="the cooldown cannot be"):
        parse_protocol("quick", cooldown_s)


def test_what_a_binary_keeps_of_a_protocol() -> None:
    for name, protocol in PROTOCOLS.items():
        kept = binary_rules(protocol)
        assert (kept.name, kept.min_runs, kept.max_s, kept.cooldown_s) == (
            name, protocol.min_runs, protocol.max_s, protocol.cooldown_s
        )  # fmt: skip
        assert kept.min_s == (60.0 if name == "mlperf" else 0.0)


def test_a_place_for_results_is_seen_to_first(folder: Path) -> None:
    with pytest.raises(InputError, match="cannot write to"):
        edgenet.benchmark(folder / f"{FP32}.tflite", device="fake:none", out=folder / f"{FP32}.tflite")
