"""React Native bundles: what is in them, what is refused, and their TypeScript checked and run by Node.js.

The compiler checks the sources against the real types of React Native, its TensorFlow Lite and its Skia. What is run is
all of the package, on the doubles of `react_native_doubles.py`: no phone, no Hermes and no Metro has seen it so far.
"""

import json
import shutil
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgenet.artifact import Artifact
from edgenet.bundle.check import check_bundle
from edgenet.bundle.make import Bundle, make_bundle
from edgenet.bundle.names import npm_name
from edgenet.bundle.record import BundleRecord, read_record
from edgenet.errors import InputError
from edgenet.photos import open_upright
from edgenet.precision import IoType
from edgenet.preprocessing import crop_photo
from tests.bundle.node_packages import find_packages, run_node, run_tsc
from tests.bundle.node_pixels import pictures, seen_by
from tests.bundle.odd_pictures import write_odd_pictures
from tests.bundle.react_native_doubles import ANSWER, DOUBLES
from tests.bundle.small import (
    FILTERS,
    LABELS,
    RULES,
    artifact_with_ends,
    rendered,
    small_artifact,
    small_content,
    small_wishes,
)
from tests.verbs import verb

VARIANTS = tuple((rule, name) for rule in RULES for name in FILTERS)
COMMON = ("--noEmit", "false", "--module", "commonjs", "--esModuleInterop", "--outDir", "build", "--rootDir", ".")
ENDS: tuple[IoType, ...] = ("float32", "uint8", "int8")
# Before a program: assets are numbers or paths, and Skia starts.
START = """
require.extensions[".tflite"] = (module) => { module.exports = { __esModule: true, default: 7 }; };
require.extensions[".png"] = (module, path) => { module.exports = { __esModule: true, default: path }; };
const { Classifier, see } = require("./src/index.js");
const { check } = require("./src/golden.js");
const { decode } = require("./src/skia.js");
const { log } = require("react-native-fast-tflite");
const answer = (value) => process.stdout.write(JSON.stringify(value));
const message = (promise) => promise.then(() => "nothing", (error) => error.message);
const begin = (program) => require("@shopify/react-native-skia").ready.then(program);
"""
WHOLE = """
begin(async () => {
  const classifier = await Classifier.load(["android-gpu", "cpu"]);
  const photo = { bytes: new Uint8Array(9 * 7 * 4).map((_, i) => [100, 200, 50, 255][i % 4]), width: 9, height: 7 };
  const [three, five] = await Promise.all([classifier.classify(photo, 3), classifier.classify(photo)]);
  const lines = await check(classifier);
  const short = await message((async () => classifier.logits(new Uint8Array(5)))());
  const open = classifier.classify(photo);
  await classifier.close();
  await classifier.close();
  answer({
    lines, three, five, short, engine: classifier.engine, refusals: classifier.refusals, late: await open,
    closed: await message((async () => classifier.classify(photo))()),
    none: await message(Classifier.load(["nnapi"])),
    file: await message(Classifier.load(["core-ml"], { url: `file://${process.env.MODEL}` })),
    unnamed: await message(Classifier.load([])), log,
  });
});
"""
OTHER = "begin(async () => answer([await message(Classifier.load()), log]));"
DECODE = """
const fs = require("fs");
begin(async () => {
  for (const path of process.argv.slice(2)) {
    const photo = await decode(`data:image/any;base64,${fs.readFileSync(path).toString("base64")}`);
    fs.writeFileSync(`${path}.seen`, see(photo));
  }
  answer(await message(decode("data:image/any;base64,d29yZHM=")));
});
"""


@pytest.fixture(scope="module")
def artifact(tmp_path_factory: pytest.TempPathFactory) -> Artifact:
    """Return a small network's w8a8 file."""
    return small_artifact(tmp_path_factory.mktemp("artifact"))


@pytest.fixture(scope="module", params=ENDS)
def with_ends(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Artifact:
    """Return a small network's w8a8 file with ends of each type."""
    io: IoType = request.param
    return artifact_with_ends(tmp_path_factory.mktemp(io), io)


@pytest.fixture(scope="module")
def packages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return node_modules with the compiler and the packages of an app."""
    return find_packages(tmp_path_factory.mktemp("packages"))


# What is in it


def test_the_package_holds_what_npm_and_metro_want(artifact: Artifact, tmp_path: Path) -> None:
    made = _bundle(artifact, tmp_path)
    record = read_record(made.path / "bundle.json", BundleRecord)
    assert {row.file for row in record.files} >= {
        "package.json", "tsconfig.json", "src/index.ts", "src/pixels.ts", "src/classifier.ts", "src/skia.ts",
        "src/golden.ts", "test/pixels.test.ts", "assets/model.tflite", "assets/labels.json", "golden/1.png",
        "golden/golden.json", "golden/golden.txt",
    }  # fmt: skip
    package = json.loads((made.path / "package.json").read_text(encoding="utf-8"))
    assert package["name"] == "lite0_classifier"
    assert all((made.path / path).is_file() for path in package["exports"].values())
    assert json.loads((made.path / "assets" / "labels.json").read_text(encoding="utf-8")) == list(LABELS)
    readme = (made.path / "README.md").read_text(encoding="utf-8")
    assert "RANDOM WEIGHTS" in readme
    assert 'assetExts.push("tflite")' in readme
    assert made.next_step.endswith("npm install --omit=peer && npm test")


def test_a_name_goes_to_its_places_and_the_bundle_is_checked(
    artifact: Artifact, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    wishes = small_wishes(tmp_path)
    words = ("--platform", "react-native", "--name", "@garden/roses", "--labels", wishes.labels, "--allow-random")
    done = verb("bundle", capsys)(artifact.path, "--out", tmp_path / "app", *words)
    assert done.code == 0, done.err
    assert json.loads((tmp_path / "app" / "package.json").read_text(encoding="utf-8"))["name"] == "@garden/roses"
    assert 'from "@garden/roses/skia"' in (tmp_path / "app" / "README.md").read_text(encoding="utf-8")
    assert verb("bundle", capsys)("--check", tmp_path / "app").code == 0
    (tmp_path / "app" / "src" / "pixels.ts").write_text("// nothing", encoding="utf-8")
    done = verb("bundle", capsys)("--check", tmp_path / "app")
    assert done.code == 1
    assert "src/pixels.ts is not what was written (sha256 differs)" in done.err


def test_labels_and_texts_of_others_stay_out_of_the_sources(artifact: Artifact, tmp_path: Path) -> None:
    labels = tmp_path / "names.txt"
    hostile = ['"; process.exit() //', "` ${evil} </script>", *(f"class {number}" for number in range(8))]
    labels.write_text("".join(f"{line}\n" for line in hostile), encoding="utf-8")
    wishes = replace(small_wishes(tmp_path), labels=str(labels), author="*/ ${evil}")
    made = make_bundle(artifact, "react-native", tmp_path / "app", wishes)
    for path in (path for path in made.path.rglob("*") if path.suffix in (".ts", ".md") or path.name == "package.json"):
        assert "evil" not in path.read_text(encoding="utf-8"), path
        assert "process.exit" not in path.read_text(encoding="utf-8"), path
    assert json.loads((made.path / "assets" / "labels.json").read_text(encoding="utf-8")) == hostile


# Refused


@pytest.mark.parametrize("name", ["flowers", "my-flowers", "flowers.js", "f2", "@garden/roses", "lite0_classifier"])
def test_names_are_what_npm_takes(name: str) -> None:
    assert npm_name(name) == name


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("node_modules", "npm or Node.js has a meaning for it; try node_modules-classifier"), ("fs", "has a meaning"),
        ("react-native", "has a meaning"), ("@shopify/react-native-skia", "has a meaning"), ("Flowers", "allowed: a-z"),
        ("", "allowed"), ("_x", "allowed"), (".x", "allowed"), ("@x", "allowed"), ("x/y", "allowed"),
        ("@x/../y", "allowed"), ("a b", "allowed"), ('x"', "allowed"), ("x\n", "allowed"), ("käse", "allowed"),
        ("../x", "allowed"), ("a" * 65, "allowed"),
    ],
)  # fmt: skip
def test_names_that_npm_does_not_take_are_refused(name: str, message: str) -> None:
    with pytest.raises(InputError, match=f"--name cannot be .*{message}"):
        npm_name(name)


# Checked and run


def _bundle(artifact: Artifact, folder: Path) -> Bundle:
    return make_bundle(artifact, "react-native", folder / "app", small_wishes(folder))


@pytest.mark.slow
def test_types_are_right_and_wrong_ones_are_found(with_ends: Artifact, packages: Path, tmp_path: Path) -> None:
    made = _bundle(with_ends, tmp_path)
    done = run_tsc(packages, made.path)
    assert (done.returncode, done.stdout) == (0, "")
    wrong = {
        "src/classifier.ts": (".run([input])", ".run(input)"),
        "src/golden.ts": ("resolveAssetSource(", "resolveAsset("),
        "src/skia.ts": ("AlphaType.Premul", "AlphaType.Multiplied"),
        "src/pixels.ts": ("function weigh(bytes: Uint8Array", "function weigh(bytes: string"),
    }
    for name, (right, other) in wrong.items():
        source = (made.path / name).read_text(encoding="utf-8")
        assert right in source
        (made.path / name).write_text(source.replace(right, other), encoding="utf-8")
    done = run_tsc(packages, made.path)
    assert done.returncode != 0
    assert {name for name in wrong if name in done.stdout} == set(wrong), done.stdout


@pytest.mark.slow
def test_the_lines_of_its_readme_are_right_in_an_app(artifact: Artifact, packages: Path, tmp_path: Path) -> None:
    made = _bundle(artifact, tmp_path)
    readme = (made.path / "README.md").read_text(encoding="utf-8")
    lines = [line[4:] for line in readme.splitlines() if line.startswith("    ")]
    assert len(lines) == 5
    more = (
        f'import {{ see, type Photo }} from "{made.record.name}";',
        f'import {{ check }} from "{made.record.name}/golden";',
        "declare const uri: string;",
        'const frame: Photo = { bytes: new Uint8Array(16), width: 2, height: 2, order: "bgra", rotationDegrees: 90 };',
        "const words: string[] = [...(await check(classifier)), answers[0].label, ...classifier.refusals.map(String)];",
        "export { see, frame, words };",
    )
    modules = tmp_path / "phone" / "node_modules"
    modules.mkdir(parents=True)
    for package in packages.iterdir():
        (modules / package.name).symlink_to(package)
    shutil.copytree(made.path, modules / made.record.name)
    (tmp_path / "phone" / "app.ts").write_text("\n".join([*lines, *more, ""]), encoding="utf-8")
    words = (
        "--strict",
        "--noEmit",
        "--skipLibCheck",
        "--resolveJsonModule",
        "--target",
        "es2022",
        "--module",
        "esnext",
    )
    done = run_tsc(packages, tmp_path / "phone", *words, "--moduleResolution", "bundler", "app.ts")
    assert (done.returncode, done.stdout) == (0, "")


@pytest.mark.slow
def test_its_own_test_passes_and_finds_another_pixel(artifact: Artifact, packages: Path, tmp_path: Path) -> None:
    made = _bundle(artifact, tmp_path)
    package = json.loads((made.path / "package.json").read_text(encoding="utf-8"))
    assert package["scripts"]["test"] == "tsc -p tsconfig.test.json && node --test build/test/pixels.test.js"
    done = run_tsc(packages, made.path, "-p", "tsconfig.test.json")
    assert (done.returncode, done.stdout) == (0, "")
    assert run_node(made.path, "--test", "build/test/pixels.test.js").returncode == 0
    wrong = made.path / "golden" / "1-seen.ppm"
    content = bytearray(wrong.read_bytes())
    content[-1] = (content[-1] + 2) % 256
    wrong.write_bytes(content)
    done = run_node(made.path, "--test", "build/test/pixels.test.js")
    assert done.returncode == 1
    assert "1.ppm: off by" in done.stdout


@pytest.mark.slow
def test_typescript_sees_what_the_record_sees(packages: Path, tmp_path: Path) -> None:
    """All rules and filters, on odd pictures in each order of bytes, turned and transparent ones among them."""
    content = small_content(tmp_path)
    for number, (rule, name) in enumerate(VARIANTS):
        (tmp_path / f"v{number}").mkdir()
        (tmp_path / f"v{number}" / "pixels.ts").write_bytes(
            rendered(content, "react-native", rule, name)["src/pixels.ts"]
        )
    sources = [f"v{number}/pixels.ts" for number in range(len(VARIANTS))]
    done = run_tsc(packages, tmp_path, "--strict", "--target", "es2022", *COMMON[2:], *sources)
    assert (done.returncode, done.stdout) == (0, "")
    modules = [tmp_path / "build" / f"v{number}" / "pixels.js" for number in range(len(VARIANTS))]
    paths = pictures(tmp_path / "odd")
    off = {}
    for number, layout, path, seen in seen_by(modules, paths, tmp_path):
        rule, name = VARIANTS[number]
        photos = content.photos.model_copy(update={"crop_rule": rule, "interpolation": name})
        wanted = crop_photo(open_upright(path), photos.to_preprocessing()).reshape(-1)
        off[rule, name, layout, path.name] = int(np.abs(seen.astype(int) - wanted.astype(int)).max())
    assert len(off) == 6 * 3 * len(paths)
    assert {case: levels for case, levels in off.items() if levels > 0} == {}


@pytest.fixture
def run(packages: Path, tmp_path: Path) -> Callable[..., Any]:
    """Return a function that compiles a bundle and runs a program in it."""

    def run_program(made: Bundle, program: str, *words: str, **environment: str) -> Any:
        record, build = made.record, made.path / "build"
        done = run_tsc(packages, made.path, *COMMON)
        assert (done.returncode, done.stdout) == (0, "")
        for name in ("assets", "golden"):
            shutil.copytree(made.path / name, build / name, dirs_exist_ok=True)
        for name, double in DOUBLES.items():
            place = build / "node_modules" / name
            place.mkdir(parents=True, exist_ok=True)
            (place / "index.js").write_text(double, encoding="utf-8")
        (build / "program.js").write_text(START + program, encoding="utf-8")
        ends = {
            name: [{"name": name, "dataType": end.type, "shape": end.shape}]
            for name, end in (("inputs", record.input), ("outputs", record.output))
        }
        size_bytes = int(np.prod(record.output.shape)) * (4 if record.output.type == "float32" else 1)
        variables = {
            "MODEL": str(made.path / record.model), "PYTHON": sys.executable, "ANSWER": ANSWER,
            "PACKAGES": str(packages), "ENDS": json.dumps(ends), "OUTPUT_BYTES": str(size_bytes), **environment,
        }  # fmt: skip
        done = run_node(build, "program.js", *words, environment=variables)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    return run_program


@pytest.mark.slow
def test_the_whole_package_answers_as_python_does(with_ends: Artifact, run: Callable[..., Any], tmp_path: Path) -> None:
    found = run(_bundle(with_ends, tmp_path), WHOLE)
    assert found["lines"] == []
    assert (found["engine"], found["refusals"]) == (
        "cpu", [{"engine": "android-gpu", "reason": "no android-gpu here"}],
    )  # fmt: skip
    assert found["three"] == found["five"][:3]
    assert found["late"] == found["five"]
    assert [row["label"] for row in found["five"]] == [LABELS[row["index"]] for row in found["five"]]
    assert sum(row["probability"] for row in found["five"]) < 1
    assert found["short"] == "5 bytes are not 64 x 64 pixels"
    assert found["closed"] == "the classifier is closed"
    assert found["none"].startswith(
        "no engine took the model: nnapi: no nnapi here (react-native-fast-tflite 3.0.1 reads"
    )
    assert found["file"] == "no engine took the model: core-ml: no core-ml here"
    assert found["unnamed"].startswith("no engine took the model: none was named")
    assert found["log"][:3] == ["load model.tflite [android-gpu]", "load model.tflite []", "dispose"]


@pytest.mark.slow
def test_golden_vectors_that_are_not_met_are_told(artifact: Artifact, run: Callable[..., Any], tmp_path: Path) -> None:
    made = _bundle(artifact, tmp_path)
    path = made.path / "golden" / "golden.json"
    golden = json.loads(path.read_text(encoding="utf-8"))
    golden["cases"][1]["top"][0]["logit"] += 100.0
    path.write_text(json.dumps(golden), encoding="utf-8")
    shutil.copy(made.path / "golden" / "1-seen.png", made.path / "golden" / "3-seen.png")
    lines = run(made, WHOLE)["lines"]
    assert [line.partition(":")[0] for line in lines] == ["2.png", "3.png"]
    assert "the logit of" in lines[0]
    assert "levels off" in lines[1]


@pytest.mark.slow
def test_another_model_than_the_bundles_is_refused(artifact: Artifact, run: Callable[..., Any], tmp_path: Path) -> None:
    ends = {name: [{"name": name, "dataType": "int8", "shape": [1, 3, 64, 64]}] for name in ("inputs", "outputs")}
    told, log = run(_bundle(artifact, tmp_path), OTHER, ENDS=json.dumps(ends))
    assert "cpu: another model: int8 [1,3,64,64] instead of uint8 [1,64,64,3]" in told
    assert log[-1] == "dispose"


@pytest.mark.slow
def test_skia_decodes_what_pillow_decodes(artifact: Artifact, run: Callable[..., Any], tmp_path: Path) -> None:
    made = _bundle(artifact, tmp_path)
    record = check_bundle(made.path).record.photos.to_preprocessing()
    paths = write_odd_pictures(tmp_path / "odd")
    assert run(made, DECODE, *map(str, paths)) == "data:image/any;base64,d29yZHM= is no picture that can be read"
    off = {}
    for path in paths:
        seen = np.fromfile(f"{path}.seen", dtype=np.uint8)
        off[path.name] = int(np.abs(seen - crop_photo(open_upright(path), record).reshape(-1).astype(int)).max())
    assert {name: levels for name, levels in off.items() if levels > 1} == {}
