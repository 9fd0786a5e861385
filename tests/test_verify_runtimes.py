"""`edgenet verify --runtimes`: one network through several runtimes on this machine."""

import os
import sys
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import edgenet
from converters import conversion
from converters.cross_images import FEWEST_IMAGES, MOST_IMAGES, SLOW_BUDGET_MACS, file_macs, image_limit
from converters.cross_runtime import Answers, Source, Study, answers_here, prepare
from converters.cross_table import failures, tabulate
from converters.onnx_file.options import FileChoice
from converters.procedural import procedural_image
from converters.runtime import Kernels, Runner
from converters.runtimes import RUNTIMES, parse_runtimes
from edgenet.counts import count
from edgenet.errors import InputError
from edgenet.layers import expand
from edgenet.progress import silent
from tests.networks import CLASSES, SIDE_PX, small_variant
from tests.processors import EXACT
from tests.test_artifact import write_small
from tests.verbs import Run, verb

MOST_STEPS = 8  # of 256, by which kernels that round in other ways may differ on a small network
TFLITE = ("xnnpack", "builtin", "reference")
FILES = ("b0-fp32-random.tflite", "b0-w8a16-random.tflite", "b0-w8a8-random.tflite", "b0-w8d-random.tflite")


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with a small network in four precisions."""
    folder = tmp_path_factory.mktemp("written")
    write_small(folder, ["fp32", "w8d", "w8a8", "w8a16"], "b")
    return folder


@pytest.fixture(scope="module")
def study(written: Path) -> Study:
    """Return the w8a8 file with images and float answers."""
    return prepare(Source(written / FILES[2]), parse_runtimes("xnnpack"), (), silent, print)


@pytest.fixture
def verify(capsys: pytest.CaptureFixture[str]) -> Run:
    """Return a function that runs the verb and returns its exit code, stdout and stderr."""
    return verb("verify", capsys)


def test_all_runs_every_file_in_every_runtime_that_takes_it(verify: Run, written: Path) -> None:
    outcome = verify(written, "--runtimes", "all", "--json")
    assert outcome.code == 0, outcome.err
    document = outcome.document
    assert set(document) == {
        "schema_version", "count", "images", "rows", "pairs", "golden_max_abs_error", "skipped", "notes", "failures",
    }  # fmt: skip
    rows = document["rows"]
    assert [(row["file"], row["runtime"]) for row in rows] == [(file, name) for file in FILES for name in TFLITE]
    assert document["count"] == 64
    assert document["notes"] == ["onnxruntime takes .onnx files, of which there are none"]
    assert document["golden_max_abs_error"] == dict.fromkeys(FILES, 0.0)
    for row in rows:
        assert row["reason"] == row["note"] == ""
        assert row["version"].startswith("ai-edge-litert ")
        assert row["agreement"]["images"] == 64
        assert row["against"] == f"{row['file']} in xnnpack"
        assert row["unit"] == ("steps" if row["file"] == FILES[2] else "relative")
        assert row["runtime"] != "xnnpack" or row["difference"] == 0
    assert rows[0]["sqnr_db"] is None  # the float file in the float file's runtime
    assert all(0 < row["difference"] < 1e-4 for row in rows[1:3])
    assert 1 <= rows[8]["difference"] <= 16  # other rounding, not another network
    pairs = np.asarray(document["pairs"])
    assert pairs.shape == (12, 12)
    np.testing.assert_array_equal(pairs, pairs.T)
    np.testing.assert_array_equal(np.diag(pairs), 1.0)
    np.testing.assert_array_equal(pairs[0], [row["agreement"]["fraction"] for row in rows])


def test_the_tables_number_their_rows(verify: Run, written: Path) -> None:
    outcome = verify(written / FILES[2], "--runtimes", "reference,xnnpack")
    assert outcome.code == 0, outcome.err
    lines = [line.split() for line in outcome.out.splitlines()]
    assert lines[0] == ["64", "images:", "procedural", "images"]
    assert [line[:3] for line in lines if FILES[2] in line] == [
        ["1", FILES[2], "xnnpack"],
        ["2", FILES[2], "reference"],
    ]
    assert lines[-1][0] == "2" and len(lines[-1]) == 2
    assert outcome.err.splitlines()[-1] == f"next: edgenet benchmark {written / FILES[2]}"


def test_one_row_is_no_pair(verify: Run, written: Path) -> None:
    assert "in pairs" not in verify(written / FILES[2], "--runtimes", "xnnpack").out


def test_from_python_it_is_the_same(verify: Run, written: Path) -> None:
    table = edgenet.verify_runtimes(written / FILES[2], runtimes="xnnpack,builtin")
    document = verify(written / FILES[2], "--runtimes", "xnnpack,builtin", "--json").document
    assert [row["difference"] for row in document["rows"]] == [row.difference for row in table.rows]
    assert document["pairs"] == [list(row) for row in table.pairs]


def test_every_row_that_misses_a_gate_is_named(verify: Run, written: Path) -> None:
    outcome = verify(written, "--runtimes", "xnnpack,reference", "--min-agree", "1", "--json")
    missed = [row for row in outcome.document["rows"] if row["agreement"]["fraction"] < 1]
    assert {row["runtime"] for row in missed} == {"xnnpack", "reference"}
    assert outcome.code == 1
    for row, failure in zip(missed, outcome.document["failures"], strict=True):
        share = row["agreement"]["fraction"]
        expected = f"{row['file']} in {row['runtime']} agrees with float on {share:.4f} of the images (at least 1)"
        assert failure == expected
        assert expected in outcome.err.splitlines()[-1]


PHOTOS = Path(__file__).resolve().parents[2] / "shared" / "data" / "imagenet-sample"


@pytest.mark.skipif(not PHOTOS.is_dir(), reason="needs real photos at ../shared/data/imagenet-sample")
def test_a_drop_is_told_for_every_row(verify: Run, tmp_path: Path) -> None:
    folder = tmp_path / "lite0"
    edgenet.convert("lite0", "w8a8", out=folder, verify=False)
    outcome = verify(
        folder, "--runtimes", "xnnpack,builtin", "--data", PHOTOS, "--max-drop", "-50", "--min-agree", "0.9", "--json"
    )
    assert outcome.code == 1
    rows, (first, second) = outcome.document["rows"], outcome.document["failures"]
    assert outcome.document["count"] == 200
    for row, failure in zip(rows, (first, second), strict=True):
        drop = row["accuracy"]["drop"]["points"]
        assert abs(drop) < 5
        assert failure == f"lite0-w8a8.tflite in {row['runtime']} loses {drop:.2f} points of top-1 (at most -50)"
    assert rows[0]["accuracy"] != rows[1]["accuracy"] or outcome.document["pairs"][0][1] > 0.95


@dataclass(frozen=True)
class Wrong:
    arguments: tuple[str, ...]
    says: str


WRONG = [
    Wrong(("--runtimes", "tvm"), "--runtimes cannot be 'tvm'; allowed: all, or names with commas between"),
    Wrong(("--runtimes", "xnnpack,xnnpack"), "--runtimes cannot be 'xnnpack,xnnpack'"),
    Wrong(("--runtimes", "all,xnnpack"), "--runtimes cannot be 'all,xnnpack'"),
    Wrong(("--runtimes", "xnnpack,onnxruntime"), "onnxruntime takes .onnx files, of which there are none; edgenet"),
    Wrong(("--device", "local"), "--device needs --runtimes; add --runtimes all"),
    Wrong(("--runtimes", "reference", "--device", "local"), "reference is not run on devices; allowed: xnnpack"),
    Wrong(("--runtimes", "all", "--device", "local", "--device", "local"), "a device was named twice"),
    Wrong(("--runtimes", "all", "--device", "nowhere"), "unknown device 'nowhere'"),
    Wrong(("--runtimes", "xnnpack", "--max-drop", "1"), "--max-drop needs labelled photos"),
]


@pytest.mark.parametrize("case", WRONG, ids=lambda case: " ".join(case.arguments))
def test_wrong_usage_is_one_line(verify: Run, written: Path, case: Wrong) -> None:
    outcome = verify(written / FILES[2], *case.arguments)
    assert (outcome.code, outcome.out) == (2, "")
    assert outcome.err.splitlines()[-1].startswith(f"error: {case.says}")


# What cannot be run, and what gives nonsense


def test_what_cannot_run_is_a_row_under_all_and_an_error_by_name(study: Study, monkeypatch: pytest.MonkeyPatch) -> None:
    (file,) = study.files
    broken = replace(study, files=(replace(file, content=b"\0\0\0\0TFL3" + b"\0" * 64),))
    with pytest.raises(InputError, match=f"{FILES[2]} in xnnpack: the TFLite runtime cannot load the model"):
        answers_here(broken, parse_runtimes("xnnpack"), silent)
    rows = answers_here(broken, parse_runtimes("all"), silent)
    assert [row.runtime for row in rows] == list(TFLITE)
    assert all(row.logits is None and "cannot load the model" in row.reason for row in rows)
    sound = answers_here(study, parse_runtimes("builtin"), silent)
    table = tabulate(study, [rows[0], *sound])
    assert [row.agreement is None for row in table.rows] == [True, False]
    assert (table.rows[1].against, table.rows[1].difference) == (f"{FILES[2]} in builtin", 0.0)
    assert table.pairs == ((None, None), (None, 1.0))
    assert failures(table, None, 0.1) == []


def test_nan_fails_whatever_the_gates(study: Study) -> None:
    (sound,) = answers_here(study, parse_runtimes("xnnpack"), silent)
    assert sound.logits is not None
    broken = sound.logits.copy()
    broken[3, 2] = np.nan
    table = tabulate(study, [sound, Answers(sound.file, "reference", "x", "y", broken)])
    assert failures(table, None, None) == [f"{FILES[2]} in reference gives NaN or infinity"]
    assert table.rows[1].reason == "its logits hold NaN or infinity"
    assert table.rows[1].document()["agreement"] is None


def test_a_row_far_off_is_seen(study: Study) -> None:
    (sound,) = answers_here(study, parse_runtimes("xnnpack"), silent)
    (file,) = study.files
    assert sound.logits is not None and file.end is not None
    shifted = sound.logits + np.float32(5 * file.end.scale)
    mirrored = sound.logits[:, ::-1]
    rows = [replace(sound, runtime=name, logits=logits) for name, logits in (("a", shifted), ("b", mirrored))]
    table = tabulate(study, [sound, *rows])
    assert [row.difference for row in table.rows[:2]] == [0.0, 5.0]
    assert table.pairs[0][1] == 1.0
    assert table.pairs[0][2] is not None and table.pairs[0][2] < 0.9


# Two formats in one folder


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with a small network as .tflite and .onnx, fp32 and w8a8."""
    folder = tmp_path_factory.mktemp("both")
    files = FileChoice(("tflite", "onnx"), EXACT)
    request = conversion.Request(
        small_variant("lite"),
        (("fp32", "float32"), ("w8a8", "uint8")),
        "random",
        "builtin",
        16,
        0,
        CLASSES,
        files=files,
    )
    conversion.run(request, folder, False, (), silent, lambda text: None)
    return folder


def test_onnx_files_are_held_against_the_tflite_files_beside_them(verify: Run, both: Path) -> None:
    outcome = verify(both, "--runtimes", "all", "--json")
    assert outcome.code == 0, outcome.err
    document = outcome.document
    assert document["notes"] == []
    rows = {(row["file"].removeprefix("lite0-"), row["runtime"]): row for row in document["rows"]}
    assert set(rows) == {
        (f"{stem}-random.tflite", name) for stem in ("fp32", "w8a8") for name in TFLITE
    } | {("fp32-random.onnx", "onnxruntime"), ("w8a8-random.onnx", "onnxruntime")}  # fmt: skip
    fp32, w8a8 = rows["fp32-random.onnx", "onnxruntime"], rows["w8a8-random.onnx", "onnxruntime"]
    assert fp32["version"].startswith("onnxruntime ")
    assert (fp32["unit"], w8a8["unit"]) == ("relative", "steps")
    assert fp32["difference"] < 1e-4
    assert w8a8["difference"] <= MOST_STEPS
    assert w8a8["against"] == "lite0-w8a8-random.tflite in xnnpack"


def test_a_file_that_no_named_runtime_takes_is_told(verify: Run, both: Path) -> None:
    outcome = verify(both, "--runtimes", "onnxruntime")
    assert outcome.code == 0, outcome.err
    assert "note: lite0-fp32-random.tflite is of no format that onnxruntime takes" in outcome.err
    assert "xnnpack" not in outcome.out


def test_a_runtime_that_is_not_installed(verify: Run, both: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "onnxruntime", None)  # so that importing it fails
    named = verify(both, "--runtimes", "onnxruntime,xnnpack")
    assert named.code == 3
    assert "in onnxruntime: ONNX Runtime is not installed; pip install onnxruntime" in named.err.splitlines()[-1]
    under_all = verify(both, "--runtimes", "all", "--json")
    assert under_all.code == 0, under_all.err
    rows = [row for row in under_all.document["rows"] if row["runtime"] == "onnxruntime"]
    assert [row["file"] for row in rows] == ["lite0-fp32-random.onnx", "lite0-w8a8-random.onnx"]
    assert all(row["agreement"] is None and "ONNX Runtime is not installed" in row["reason"] for row in rows)
    alone = verify(both / "lite0-fp32-random.onnx", "--runtimes", "all")
    assert alone.code == 3
    assert "no file could be run; onnxruntime: ONNX Runtime is not installed" in alone.err.splitlines()[-1]


# How many images


@dataclass(frozen=True)
class Limited:
    macs: int
    slow_rows: int
    side_px: int
    images: int
    says: str


LIMITED = [
    Limited(385_000_000, 0, 224, MOST_IMAGES, "at most 256 are held in memory"),
    Limited(385_000_000, 1, 224, MOST_IMAGES, "at most 256 are held in memory"),
    Limited(385_000_000, 8, 224, 64, "8 slow rows (reference kernels, int16) of 385 million MACs an image each share"),
    Limited(37_000_000_000, 0, 600, 92, "at most 92 are held in memory"),
    Limited(37_000_000_000, 1, 600, SLOW_BUDGET_MACS // 37_000_000_000, "1 slow rows"),
    Limited(37_000_000_000, 7, 600, FEWEST_IMAGES, "7 slow rows"),
]


@pytest.mark.parametrize("case", LIMITED, ids=lambda case: f"{case.macs} {case.slow_rows} {case.side_px}")
def test_slow_kernels_see_fewer_images(case: Limited) -> None:
    limit = image_limit(case.macs, case.slow_rows, case.side_px)
    assert limit.images == case.images
    assert limit.reason.startswith(case.says)


def test_the_macs_of_a_file_are_those_of_its_network(written: Path) -> None:
    network = expand(small_variant("b"), CLASSES)
    assert file_macs((written / FILES[0]).read_bytes()) == count(network).macs


def test_the_limit_is_told(verify: Run, written: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("converters.cross_images.SLOW_BUDGET_MACS", 10**9)
    macs = file_macs((written / FILES[0]).read_bytes())
    outcome = verify(written / FILES[2], "--runtimes", "all")
    assert outcome.code == 0
    used = 10**9 // macs
    assert outcome.out.splitlines()[0] == f"{used} images: procedural images"
    assert f"note: {used} of 64 images are used: 1 slow rows" in outcome.err


# The property: kernels that round differently are the same network, whatever its ends


@pytest.fixture(scope="module")
def ends(tmp_path_factory: pytest.TempPathFactory) -> dict[tuple[str, Kernels], Runner]:
    """Return one w8a8 network with each of the ends, in each of the kernels."""
    runners: dict[tuple[str, Kernels], Runner] = {}
    for io in ("uint8", "int8", "float32"):
        folder = tmp_path_factory.mktemp(io)
        formats = (("w8a8", io),)
        request = conversion.Request(small_variant("lite"), formats, "random", "builtin", 16, 0, CLASSES, None)  # type: ignore[arg-type]  # formats are literals
        (artifact,) = conversion.run(request, folder, False, (), silent, lambda text: None)
        for row in RUNTIMES.values():
            if row.kernels:
                runners[io, row.kernels] = Runner(artifact.path.read_bytes(), os.cpu_count() or 1, row.kernels)
    return runners


@given(seed=st.integers(0, 2**32), contrast=st.floats(0, 1))
@settings(max_examples=25, deadline=None)
def test_kernels_agree_and_ends_change_nothing(
    ends: dict[tuple[str, Kernels], Runner], seed: int, contrast: float
) -> None:
    pixels = (procedural_image(0, SIDE_PX, seed) * contrast).astype(np.uint8)
    scale = ends["uint8", "xnnpack"].outputs[0].scale
    steps = {key: np.round(runner.logits(pixels) / scale) for key, runner in ends.items()}
    for (io, kernels), found in steps.items():
        np.testing.assert_array_equal(found, steps["uint8", kernels], f"{io} in {kernels}")
        assert np.abs(found - steps[io, "xnnpack"]).max() <= MOST_STEPS, f"{io} in {kernels}"
