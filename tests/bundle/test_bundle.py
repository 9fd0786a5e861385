"""What all bundles share: refusals, the same bytes each time, whole or not there, and checking one again."""

import json
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from converters.metadata_read import read_metadata
from edgenet.artifact import Artifact, read_golden, write_artifact
from edgenet.bundle.check import check_bundle
from edgenet.bundle.folder import write_folder
from edgenet.bundle.make import make_bundle
from edgenet.bundle.names import c_name, python_name, title
from edgenet.bundle.platforms import PLATFORMS
from edgenet.bundle.record import BundleRecord, read_record
from edgenet.errors import InputError
from edgenet.manifest import RepairRecord
from tests.bundle.small import LABELS, small_artifact, small_bundle, small_wishes
from tests.test_artifact import ENVIRONMENT
from tests.verbs import verb

OFFLINE = ("android", "c", "flutter", "ios", "python", "react-native")  # platforms whose bundles need nothing else
SOURCES = {
    ".py", ".c", ".h", ".txt", ".md", ".toml", ".json", ".kt", ".kts", ".xml", ".pro", ".dart", ".yaml", ".ts",
    ".swift",
}  # fmt: skip


@pytest.fixture(scope="module")
def artifact(tmp_path_factory: pytest.TempPathFactory) -> Artifact:
    """Return a small network's w8a8 file."""
    return small_artifact(tmp_path_factory.mktemp("artifact"))


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a bundle, to be copied before harm is done to it."""
    return small_bundle(tmp_path_factory.mktemp("bundle"), "python").path


@pytest.fixture
def copied(bundle: Path, tmp_path: Path) -> Path:
    """Return a copy of the bundle to do harm to."""
    return shutil.copytree(bundle, tmp_path / "copied")


def _contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


# Written


@pytest.mark.parametrize("platform", OFFLINE)
def test_the_same_artifact_gives_the_same_bytes(artifact: Artifact, platform: str, tmp_path: Path) -> None:
    for name in ("first", "second"):
        make_bundle(artifact, platform, tmp_path / name, small_wishes(tmp_path))
    assert _contents(tmp_path / "first") == _contents(tmp_path / "second")


def test_a_bundle_says_what_is_in_it(bundle: Path) -> None:
    record = read_record(bundle / "bundle.json", BundleRecord)
    assert (record.platform, record.name, record.num_classes) == ("python", "lite0_classifier", 10)
    assert record.warnings == ("RANDOM WEIGHTS: this model classifies nothing",)
    assert (record.photos.orientation, record.photos.transparency) == ("upright", "white")
    assert {row.file for row in record.files} == set(_contents(bundle)) - {"bundle.json"}
    assert (bundle / record.labels).read_text(encoding="utf-8").splitlines() == list(LABELS)
    assert "RANDOM WEIGHTS" in (bundle / "README.md").read_text(encoding="utf-8")
    golden = json.loads((bundle / record.golden).read_text(encoding="utf-8"))
    assert [len(case["top"]) for case in golden["cases"]] == [5, 5, 5]


def test_no_template_leaves_a_line_without_its_end(tmp_path: Path) -> None:
    for platform in OFFLINE:
        for path, content in _contents(small_bundle(tmp_path / platform, platform).path).items():
            if Path(path).suffix in SOURCES:
                text = content.decode()
                assert text.endswith("\n"), path
                assert "{{" not in text, path
                assert "{%" not in text, path


def test_bundling_takes_under_two_seconds_and_no_tensorflow(artifact: Artifact, tmp_path: Path) -> None:
    wishes = small_wishes(tmp_path)
    words = ["bundle", str(artifact.path), "--platform", "python", "--out", str(tmp_path / "app")]
    program = (
        "import resource, sys\nfrom edgenet.__main__ import main\n"
        "code = main(sys.argv[1:])\n"
        "used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]\n"
        "print(code, sum(row.ru_utime + row.ru_stime for row in used), 'tensorflow' in sys.modules)"
    )
    command = [sys.executable, "-c", program, *words, "--labels", wishes.labels, "--allow-random"]
    done = subprocess.run(command, env=ENVIRONMENT, capture_output=True, text=True, check=False)
    code, processor_s, with_tensorflow = done.stdout.splitlines()[-1].split()
    # Of the processor, not of a clock: other work on the machine does not count.
    assert (code, with_tensorflow) == ("0", "False"), done.stderr
    assert float(processor_s) < 2.0


def test_author_and_licence_go_into_the_model(artifact: Artifact, tmp_path: Path) -> None:
    wishes = small_wishes(tmp_path, author="A. Uthor", license="CC0-1.0")
    made = make_bundle(artifact, "python", tmp_path / "app", wishes)
    found = read_metadata((made.path / made.record.model).read_bytes())
    assert found is not None
    assert (found.metadata.author, found.metadata.license) == ("A. Uthor", "CC0-1.0")
    assert found.labels() == LABELS
    assert found.identity == made.record.source.identity


# Refused


def test_random_weights_are_refused_unless_they_are_wanted(artifact: Artifact, tmp_path: Path) -> None:
    wishes = small_wishes(tmp_path, allow_random=False)
    with pytest.raises(InputError, match=r"has random weights: it classifies nothing; .*--allow-random"):
        make_bundle(artifact, "python", tmp_path / "app", wishes)
    assert not (tmp_path / "app").exists()


def _failed(artifact: Artifact, folder: Path) -> Artifact:
    """Return the artifact as a repair that did not reach its gate leaves it."""
    repair = RepairRecord(
        target="cpu", min_agree=0.98, max_latency_cost=1.15, probe="64 procedural images", images=64, passed=False,
        interrupted=False, steps=(),
    )  # fmt: skip
    manifest = artifact.manifest.model_copy(update={"repair": repair})
    return write_artifact(folder, artifact.path.read_bytes(), read_golden(artifact), manifest)


def test_a_file_that_failed_its_gate_is_refused_unless_it_is_wanted(artifact: Artifact, tmp_path: Path) -> None:
    failed = _failed(artifact, tmp_path / "failed")
    with pytest.raises(InputError, match=r"failed its gate: it kept under 98 % .*--allow-failed"):
        make_bundle(failed, "python", tmp_path / "app", small_wishes(tmp_path))
    made = make_bundle(failed, "python", tmp_path / "app", small_wishes(tmp_path, allow_failed=True))
    assert made.record.warnings[1].startswith("FAILED ITS GATE: under 98 %")
    assert "FAILED ITS GATE" in (tmp_path / "app" / "README.md").read_text(encoding="utf-8")


def test_classes_without_names_are_refused(artifact: Artifact, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"does not say what its 10 classes are called; give --labels FILE"):
        make_bundle(artifact, "python", tmp_path / "app", small_wishes(tmp_path, labels=""))


@dataclass(frozen=True)
class Line:
    id: str
    words: tuple[str, ...]
    message: str


LINES = (
    Line("no platform", ("ARTIFACT", "--out", "NEW"), "a bundle needs a file, a platform and a new folder"),
    Line("no folder", ("ARTIFACT", "--platform", "c"), "a bundle needs a file, a platform and a new folder"),
    Line(
        "unknown platform",
        ("ARTIFACT", "--platform", "palm", "--out", "NEW"),
        "unknown --platform 'palm'; allowed: android, c, flutter, ios, python, react-native, web",
    ),
    Line("absent", ("absent.tflite", "--platform", "c", "--out", "NEW"), "absent.tflite does not exist"),
    Line("existing", ("ARTIFACT", "--platform", "c", "--out", "THERE"), "exists; name another folder, or replace"),
    Line("forced", ("ARTIFACT", "--platform", "c", "--out", "THERE", "--force"), "is no bundle, and --force replaces"),
    Line("link", ("ARTIFACT", "--platform", "c", "--out", "LINK", "--force"), "is a link"),
    Line("above", ("ARTIFACT", "--platform", "c", "--out", "THERE/.."), "names no folder of its own"),
    Line("keyword", ("ARTIFACT", "--platform", "c", "--out", "NEW", "--name", "template"), "C has a meaning for it"),
    Line("path", ("ARTIFACT", "--platform", "c", "--out", "NEW", "--name", "../x"), "allowed: a-z, 0-9 and _"),
    Line("author", ("ARTIFACT", "--platform", "c", "--out", "NEW", "--author", "a\x1b[31m"), "--author cannot be"),
    Line("check with more", ("--check", "THERE", "--platform", "c"), "--check DIR stands alone"),
    Line("check nothing", ("--check", "THERE"), "cannot read .*bundle.json: No such file"),
)


@pytest.mark.parametrize("line", LINES, ids=lambda line: line.id)
def test_what_cannot_be_done_is_one_line_and_leaves_nothing(
    line: Line, artifact: Artifact, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    import re

    there = tmp_path / "there"
    there.mkdir()
    (there / "precious").write_text("mine", encoding="utf-8")
    (tmp_path / "link").symlink_to(there)
    wishes = small_wishes(tmp_path)
    before = _contents(tmp_path)
    places = {"ARTIFACT": str(artifact.path), "NEW": str(tmp_path / "new"), "THERE": str(there)}
    places["LINK"] = str(tmp_path / "link")
    words = [
        word.replace("THERE", str(there)) if word.startswith("THERE") else places.get(word, word) for word in line.words
    ]
    more = [] if "--check" in words else ["--labels", wishes.labels, "--allow-random"]
    done = verb("bundle", capsys)(*words, *more)
    assert (done.code, done.out) == (2, "")
    assert re.search(line.message, done.err), done.err
    assert _contents(tmp_path) == before


NAMES: tuple[tuple[Any, str, bool], ...] = (
    (python_name, "flowers", True), (python_name, "class", False), (python_name, "match", False),
    (python_name, "json", False), (python_name, "numpy", False), (python_name, "Flowers", False),
    (python_name, "1flowers", False), (python_name, "a-b", False), (python_name, "a b", False),
    (python_name, "", False), (python_name, "a" * 65, False), (python_name, "flöwers", False),
    (python_name, "a\nb", False), (c_name, "flowers_2", True), (c_name, "int", False), (c_name, "namespace", False),
    (c_name, "main", False), (c_name, "_flowers", False), (c_name, 'x"; system("', False),
    (title, "Käse & <Wein>", True), (title, "", False), (title, "a\x1b[31m", False), (title, "x" * 65, False),
)  # fmt: skip


@pytest.mark.parametrize(("check", "name", "right"), NAMES)
def test_names_are_what_a_language_takes(check: Any, name: str, right: bool) -> None:
    if right:
        assert check(name) == name
        return
    with pytest.raises(InputError, match="--name cannot be"):
        check(name)


# Whole or not there


def test_force_replaces_a_bundle_and_nothing_of_it_stays(artifact: Artifact, tmp_path: Path) -> None:
    make_bundle(artifact, "c", tmp_path / "app", small_wishes(tmp_path))
    make_bundle(artifact, "python", tmp_path / "app", small_wishes(tmp_path), force=True)
    assert "CMakeLists.txt" not in _contents(tmp_path / "app")
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []


@pytest.mark.parametrize("name", ["../outside", "/etc/outside", "a/../../outside", "a//b", "a\\b", "c:x", ""])
def test_no_file_is_written_outside_the_bundle(name: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="not a path inside the bundle"):
        write_folder(tmp_path / "app", {name: b"x"}, force=False)
    assert list(tmp_path.iterdir()) == []


def test_a_failure_in_the_middle_leaves_the_older_bundle(artifact: Artifact, tmp_path: Path) -> None:
    made = make_bundle(artifact, "python", tmp_path / "app", small_wishes(tmp_path))
    before = _contents(made.path)
    with pytest.raises(InputError, match="cannot write"):
        write_folder(made.path, {"a": b"x", "a/b": b"y"}, force=True)  # a file where a folder has to be
    assert _contents(made.path) == before
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []


def test_an_interrupt_leaves_nothing(artifact: Artifact, tmp_path: Path) -> None:
    wishes = small_wishes(tmp_path)
    words = ["bundle", str(artifact.path), "--platform", "python", "--out", str(tmp_path / "app"), "--labels"]
    command = [sys.executable, "-m", "edgenet", *words, wishes.labels, "--allow-random"]
    before = set(tmp_path.iterdir())
    process = subprocess.Popen(command, env=ENVIRONMENT, stderr=subprocess.PIPE, text=True)
    while process.poll() is None and set(tmp_path.iterdir()) == before:  # until it writes
        time.sleep(0.001)
    process.send_signal(signal.SIGINT)
    _, error = process.communicate(timeout=60)
    assert process.returncode in (130, 0), error
    assert "Traceback" not in error
    assert (tmp_path / "app").exists() == (process.returncode == 0)
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []


# Checked again


def test_a_bundle_is_checked_through_the_runtime_here(bundle: Path, capsys: pytest.CaptureFixture[str]) -> None:
    done = verb("bundle", capsys)("--check", bundle)
    assert done.code == 0
    assert "every file is what was written, and every golden vector is met" in done.out
    assert "warning: RANDOM WEIGHTS" in done.err
    document = verb("bundle", capsys)("--check", bundle, "--json").document
    assert document["failures"] == []
    assert [(row["max_pixel_error"], row["max_logit_error"]) for row in document["golden"]] == [(0, 0.0)] * 3


def _rewritten(folder: Path, name: str, change: Any) -> None:
    """Change a document of a bundle, and its hash in bundle.json along with it."""
    from edgenet.artifact import sha256

    path = folder / name
    document = json.loads(path.read_text(encoding="utf-8"))
    change(document)
    path.write_text(json.dumps(document), encoding="utf-8")
    if name != "bundle.json":
        content = path.read_bytes()
        row = {"file": name, "sha256": sha256(content), "size_bytes": len(content)}
        _rewritten(folder, "bundle.json", lambda whole: whole["files"].__setitem__(
            [entry["file"] for entry in whole["files"]].index(name), row))  # fmt: skip


def test_a_changed_missing_or_linked_file_is_named(copied: Path) -> None:
    (copied / "README.md").write_text("other", encoding="utf-8")
    (copied / "pyproject.toml").unlink()
    photos = copied / "lite0_classifier" / "photos.py"
    photos.rename(copied / "elsewhere.py")
    photos.symlink_to(copied / "elsewhere.py")
    assert check_bundle(copied).failures == (
        "README.md is not what was written (sha256 differs)",
        "lite0_classifier/photos.py is a link",
        "pyproject.toml is missing",
    )


def test_a_golden_answer_that_the_model_does_not_give_is_a_failure(
    copied: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    name = "lite0_classifier/data/golden/golden.json"
    _rewritten(copied, name, lambda document: document["cases"][0]["top"][0].update(logit=1000.0))
    done = verb("bundle", capsys)("--check", copied)
    assert done.code == 1
    assert "1.png: logits are off by" in done.err


@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        ("bundle.json", {"schema_version": 2}, "schema_version"),
        ("bundle.json", {"model": "../../etc/passwd"}, "not a path inside the bundle"),
        ("bundle.json", {"more": 1}, "more"),
        ("bundle.json", {"photos": {}}, "photos"),
    ],
)
def test_a_bundle_that_is_made_to_do_harm_is_one_line(
    copied: Path, name: str, change: dict[str, Any], message: str
) -> None:
    _rewritten(copied, name, lambda document: document.update(change))
    with pytest.raises(InputError, match=message):
        check_bundle(copied)


def test_the_table_of_platforms_and_the_templates_are_one() -> None:
    from edgenet.bundle.render import TEMPLATES

    rows = [row for platform in PLATFORMS.values() for row in (platform, *platform.apis.values())]
    named = {folder for row in rows for folder in (row.templates, row.api_templates) if folder}
    assert named == {path.name for path in TEMPLATES.iterdir() if path.is_dir()}
