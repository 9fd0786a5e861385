"""Every verb of the live table: help, wrong usage, JSON, start-up; and what `main` makes of errors."""

import errno
import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from edgenet.__main__ import main
from edgenet.cli import app
from edgenet.cli.app import VERBS, Group
from edgenet.errors import GateFailed, InputError, MissingError
from tests.compile.compiler_double import write_double
from tests.test_artifact import write_small
from tests.training.pictures import write_colours

ROOT = Path(__file__).resolve().parent.parent
HEAVY = ("tensorflow", "tf_keras", "ai_edge_litert", "litert_quantizer", "numpy", "PIL", "rich")
BRIEFLY = ("--data", "colours", "--recipe", "brief.toml")
# One short call of each verb, run in this order and in one folder; a new verb needs its row.
EXAMPLES = {
    "list": ["list"],
    "info": ["info", "b0"],
    "doctor": ["doctor"],
    "devices": ["devices", "list"],
    "train": ["train", "--variant", "lite0", "--weights", "random", "--side", "32", *BRIEFLY, "--out", "run"],
    "scale": ["scale", "--base", "lite0"],
    "convert": ["convert", "--variant", "lite0", "--precision", "fp32", "--weights", "random"],
    "quantize": ["quantize", "lite0-fp32-random.tflite", "--precision", "w8"],
    "verify": ["verify", "lite0-w8-random.tflite"],
    "evaluate": ["evaluate", "run", "--data", "colours", "--out", "accuracy"],
    "try": ["try", "lite0-w8-random.tflite", "colours/*/*.png"],
    "bundle": ["bundle", "lite0-w8-random.tflite", "--platform", "c", "--allow-random", "--out", "app"],
    "diagnose": ["diagnose", "lite0-w8-random.tflite"],
    "check": ["check", "lite0-w8-random.tflite", "--target", "xnnpack"],
    "compile": ["compile", "small", "--compiler", "bin/edgetpu_compiler", "--out", "compiled"],  # a double of it
    "benchmark": ["benchmark", ".", "--protocol", "quick", "--out", "results"],
    "compare": ["compare", "results/lite0-fp32*", "results/lite0-w8*"],  # a name with * stands for the file that fits
    "sweep": ["sweep", "--variants", "lite0", "--precisions", "fp32", "--weights", "run", "--data", "colours"],
    "report": ["report", "results"],
    "recommend": ["recommend", "--device", "raspberry-pi-4", "--max-ms", "60"],
}

EACH_VERB = pytest.mark.parametrize("verb", VERBS)


@dataclass(frozen=True)
class Outcome:
    code: int
    out: str
    err: str


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> "Run":
    monkeypatch.chdir(tmp_path)
    return Run(capsys)


@dataclass(frozen=True)
class Run:
    capsys: pytest.CaptureFixture[str]

    def __call__(self, *arguments: str) -> Outcome:
        code = main(arguments)
        out, err = self.capsys.readouterr()
        return Outcome(code, out, err)


@pytest.fixture(scope="module")
def json_outcomes(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Outcome]:
    """Run every example with --json."""
    folder = tmp_path_factory.mktemp("examples")
    write_colours(folder / "colours", 4)
    write_small(folder / "small", ["w8a8"])
    write_double(folder / "bin")
    (folder / "brief.toml").write_text("[schedule]\nbatch_size = 2\nwarmup_epochs = 1\nepochs = 1\n")
    outcomes = {}
    for verb, arguments in EXAMPLES.items():
        words = [str(next(folder.glob(word))) if "*" in word else word for word in arguments]
        done = _python("-m", "edgenet", *words, "--json", folder=folder)
        outcomes[verb] = Outcome(done.returncode, done.stdout, done.stderr)
    return outcomes


def _python(*arguments: str, stdout: int = subprocess.PIPE, folder: Path = ROOT) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=stdout,
        stderr=subprocess.PIPE,
        text=True,
        check=False,
    )


def test_help_shows_every_verb(run: Run) -> None:
    for arguments in (["--help"], ["-h"], []):
        outcome = run(*arguments)
        assert (outcome.code, outcome.err) == (0, "")
        for verb, row in VERBS.items():
            assert f"  {verb} " in outcome.out
            assert row.help.split()[0] in outcome.out


@EACH_VERB
def test_each_verb_has_help(run: Run, verb: str) -> None:
    outcome = run(verb, "--help")
    assert (outcome.code, outcome.err) == (0, "")
    assert outcome.out.startswith(f"Usage: edgenet {verb} ")
    assert len(outcome.out.splitlines()) > 5


@EACH_VERB
def test_an_unknown_flag_is_one_line_and_2(run: Run, verb: str) -> None:
    outcome = run(*EXAMPLES[verb], "--xyzzy")
    assert (outcome.code, outcome.out) == (2, "")
    assert outcome.err.startswith("error: ")
    assert outcome.err.count("\n") == 1
    assert "--xyzzy" in outcome.err
    words = EXAMPLES[verb][: 2 if isinstance(VERBS[verb], Group) else 1]
    assert f"edgenet {' '.join(words)} --help" in outcome.err


@EACH_VERB
def test_json_is_one_document(json_outcomes: dict[str, Outcome], verb: str) -> None:
    outcome = json_outcomes[verb]
    assert outcome.code == 0, outcome.err
    assert json.loads(outcome.out)["schema_version"] == 1


def test_every_verb_has_an_example() -> None:
    assert set(EXAMPLES) == set(VERBS)


@dataclass(frozen=True)
class Wrong:
    arguments: list[str]
    says: str


WRONG = [
    Wrong(["inof"], f"unknown command 'inof'; allowed: {', '.join(VERBS)}; did you mean info?"),
    Wrong(["frobnicate"], "edgenet --help shows them all"),
    Wrong(["list", "--jsn"], "unknown option --jsn; did you mean --json?"),
    Wrong(["list", "--family", "lit"], "unknown family 'lit'; allowed: b, lite, edgetpu, v2; did you mean lite?"),
    Wrong(["list", "b0"], "unexpected extra argument"),
    Wrong(["info"], "missing argument 'VARIANT'; edgenet info --help shows what it takes"),
    Wrong(["info", "lit0"], "did you mean lite0?"),
    Wrong(["info", "some.tflite"], "cannot read some.tflite: No such file or directory; allowed: a .tflite file"),
    Wrong(["info", "some.tflite", "--layers"], "--layers, --side and --classes go with a variant"),
    Wrong(["info", "b0", "--side"], "option '--side' requires an argument"),
    Wrong(["info", "b0", "--side", "31"], "--side cannot be '31'; allowed: a whole number from 32 to 4096"),
    Wrong(["info", "b0", "--side", "2.5"], "--side cannot be '2.5'; allowed: a whole number"),
    Wrong(["info", "b0", "--side", "٣٢"], "--side cannot be '٣٢'"),
    Wrong(["info", "b0", "--classes", "0"], "--classes cannot be '0'; allowed: a whole number from 1 to 100000"),
    Wrong(["info", "b0\nerror: forged"], "unknown variant 'b0\\nerror: forged'"),
    Wrong(["info", "scaled:-1"], "cannot scale by 'scaled:-1'"),
    Wrong(["train"], "no folder for the run was given; allowed: --out RUN"),
    Wrong(["train", "--out", "run"], "no variant was given; allowed: --variant NAME"),
    Wrong(["train", "--out", "run", "--variant", "lite0"], "no images were given; allowed: --data DIR"),
    Wrong(["train", "--out", "run", "--variant", "lite0", "--data", "no"], "'no' does not exist; allowed: a folder of"),
    Wrong(["train", "--out", "run", "--resume"], "there is no training in run to resume: training.json: No such file"),
    Wrong(
        ["train", "--out", "run", "--resume", "--seed", "3"], "--resume goes on with the run as it was; allowed: --out"
    ),
    Wrong(
        ["train", "--out", "run", "--variant", "lite0", "--data", ".", "--recipe", "no"], "cannot read no: No such file"
    ),
    Wrong(
        ["info", "scaled:1@no"], "cannot read the coefficients no: No such file or directory; edgenet scale --search"
    ),
    Wrong(["scale", "--base", "b1"], "--base cannot be 'b1'; allowed: b0, lite0"),
    Wrong(["scale", "--coefficients", "no"], "cannot read the coefficients no: No such file or directory"),
    Wrong(["scale", "--max-ms", "20"], "--max-ms goes with --latency-on; add --latency-on, or drop --max-ms"),
    Wrong(["scale", "--latency-on", "local", "--budget", "3"], "--budget goes with --search; add --search, or drop"),
    Wrong(["scale", "--latency-on", "local"], "no limit was given; allowed: milliseconds over 0, 100000 at most"),
    Wrong(["scale", "--latency-on", "local", "--max-ms", "nan"], "--max-ms cannot be 'nan'; allowed: milliseconds"),
    Wrong(["scale", "--latency-on", "nowhere", "--max-ms", "9"], "'nowhere'"),
    Wrong(
        ["scale", "--latency-on", "local", "--max-ms", "9", "--precision", "fp32,w8"],
        "--precision cannot be 'fp32,w8'; allowed: one of them; run it once for each",
    ),
    Wrong(["scale", "--latency-on", "local", "--max-ms", "9", "--protocol", "slow"], "unknown protocol 'slow'"),
    Wrong(["scale", "--search", "--latency-on", "local"], "--search beside --latency-on; allowed: one of them"),
    Wrong(["scale", "--search"], "no folder for the search was given; allowed: --out RUN"),
    Wrong(["scale", "--search", "--out", "run"], "no images were given; allowed: --data DIR"),
    Wrong(
        ["scale", "--search", "--out", "run", "--data", "."], "no budget was given; allowed: --budget EPOCHS, of each"
    ),
    Wrong(["scale", "--search", "--out", "run", "--data", ".", "--budget", "0"], "--budget cannot be '0'"),
    Wrong(
        ["scale", "--search", "--out", "run", "--data", "no", "--budget", "3"], "'no' does not exist; allowed: a fol"
    ),
    Wrong(
        ["scale", "--search", "--out", "run", "--data", ".", "--budget", "3", "--grid", "no"], "cannot read the grid no"
    ),
    Wrong(["scale", "--search", "--out", "run", "--coefficients", "x"], "--coefficients beside --search"),
    Wrong(
        ["scale", "--search", "--resume", "--out", "run"], "there is no search in run to resume: search.json: No such"
    ),
    Wrong(
        ["scale", "--search", "--resume", "--out", "run", "--seed", "0"], "--resume goes on with the search as it was"
    ),
    Wrong(["convert"], "no variant was given; allowed: --variant NAME; edgenet list shows them all"),
    Wrong(["convert", "--variant", "b9"], "unknown variant 'b9'"),
    Wrong(["convert", "--variant", "b0", "--precision", "int8"], "unknown precision 'int8'; allowed: fp32, fp16, w8"),
    Wrong(["convert", "--variant", "b0", "--precision", ","], "no precision was given"),
    Wrong(
        ["convert", "--variant", "b0", "--int8", "--io", "int4"], "unknown --io 'int4'; allowed: float32, int8, uint8"
    ),
    Wrong(["convert", "--variant", "b0", "--fp16", "--io", "uint8"], "--io uint8 has no file to apply to"),
    Wrong(["convert", "--variant", "b0", "--int8", "--samples", "15"], "--samples cannot be '15'"),
    Wrong(["convert", "--variant", "b0", "--mean", "red"], "--mean cannot be 'red'; allowed: one number or three"),
    Wrong(["convert", "--variant", "b0", "--mean", "1,2"], "--mean cannot be '1,2'; allowed: one number or three"),
    Wrong(["convert", "--variant", "b0", "--crop", "1.5"], "--crop cannot be '1.5'; allowed: a number over 0"),
    Wrong(
        ["convert", "--variant", "b0", "--interpolation", "cubic"],
        "--interpolation cannot be 'cubic'; allowed: bicubic",
    ),
    Wrong(["convert", "--variant", "b0", "--from", "x.manifest.json"], "--from repeats a run as it was"),
    Wrong(["convert", "--from", "x.manifest.json"], "cannot read x.manifest.json: No such file or directory"),
    Wrong(["quantize", "x.tflite"], "no precision was given; allowed: --int8"),
    Wrong(["quantize", "x.tflite", "--int8"], "cannot read x.tflite: No such file or directory"),
    Wrong(["quantize", "x.tflite", "--precision", "fp32"], "the file is fp32 already"),
    Wrong(["verify", "nowhere"], "nowhere does not exist; allowed: a .tflite or .onnx file, or its folder"),
    Wrong(["verify", "."], "no artifact in .; allowed: a folder that edgenet convert wrote"),
    Wrong(["verify", ".", "--max-drop", "1"], "--max-drop needs labelled photos; add --data DIR"),
    Wrong(["verify", ".", "--min-agree", "95"], "--min-agree cannot be 95; allowed: a share from 0 to 1"),
    Wrong(["verify", ".", "--labels", "x.csv"], "--labels needs photos; add --data DIR"),
    Wrong(["check"], "missing argument 'MODEL'; edgenet check --help shows what it takes"),
    Wrong(["check", "no.tflite"], "cannot read no.tflite: No such file or directory; allowed: a .tflite file"),
    Wrong(["check", "."], ". holds 0 .tflite files: none; allowed: one; name the file"),
    Wrong(["check", "x.tflite", "--target", "edgetpi"], "allowed: edgetpu, xnnpack, gpu; did you mean edgetpu?"),
    Wrong(["check", "x.tflite", "--fail-on", "cpu"], "unknown --fail-on 'cpu'; allowed: cpu-ops, streamed"),
    Wrong(
        ["check", "x.tflite", "--picture", "x.png"], "--picture cannot be 'x.png'; allowed: a name that ends in .svg"
    ),
    Wrong(["diagnose", "nowhere"], "nowhere does not exist; allowed: a .tflite or .onnx file, or its folder"),
    Wrong(["diagnose", ".", "--picture", "x.png"], "--picture cannot be 'x.png'; allowed: a name that ends in .svg"),
]


@pytest.mark.parametrize("case", WRONG, ids=lambda case: " ".join(case.arguments))
def test_wrong_usage_is_one_line_and_2(run: Run, case: Wrong) -> None:
    outcome = run(*case.arguments)
    assert (outcome.code, outcome.out) == (2, "")
    assert outcome.err.startswith("error: ")
    assert outcome.err.count("\n") == 1
    assert case.says in outcome.err


def test_version(run: Run) -> None:
    assert run("--version") == Outcome(0, "edgenet 0.1.0\n", "")


# What `main` makes of whatever a verb may raise: exit code and line.
RAISED = [
    (GateFailed("agreement 0.9"), 1, "error: agreement 0.9\n"),
    (InputError("no such file"), 2, "error: no such file\n"),
    (MissingError("no adb"), 3, "error: no adb\n"),
    (KeyboardInterrupt(), 130, "error: interrupted\n"),
    (PermissionError(errno.EACCES, "Permission denied", "/x"), 2, "error: permission denied: '/x'; change its"),
    (OSError(errno.ENOSPC, "No space left on device", "/x/y"), 2, "error: no space left on device: '/x/y'; free"),
]


@pytest.mark.parametrize(("error", "code", "line"), RAISED, ids=lambda value: type(value).__name__)
def test_errors_become_one_line_and_a_code(
    run: Run, monkeypatch: pytest.MonkeyPatch, error: BaseException, code: int, line: str
) -> None:
    _make_fail(monkeypatch, error)
    outcome = run("list")
    assert outcome.code == code
    assert outcome.err.startswith(line)
    assert outcome.err.count("\n") == 1


@pytest.mark.parametrize("bug", [ZeroDivisionError(), FileNotFoundError(errno.ENOENT, "No such file", "own.json")])
def test_a_bug_keeps_its_traceback(run: Run, monkeypatch: pytest.MonkeyPatch, bug: Exception) -> None:
    _make_fail(monkeypatch, bug)
    with pytest.raises(type(bug)):
        run("list")


def _make_fail(monkeypatch: pytest.MonkeyPatch, error: BaseException) -> None:
    def command() -> None:
        raise error

    monkeypatch.setattr(app, "_load", lambda row: command)


def test_a_reader_that_leaves_is_no_error() -> None:
    reader, writer = os.pipe()
    os.close(reader)
    done = _python("-m", "edgenet", "list", stdout=writer)
    os.close(writer)
    assert (done.returncode, done.stderr) == (141, "")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full, which stands for a full disk")
def test_a_full_disk_is_one_line() -> None:
    with Path("/dev/full").open("w") as full:
        done = _python("-m", "edgenet", "list", "--json", stdout=full.fileno())
    assert done.returncode == 2
    assert done.stderr.startswith("error: no space left on device; free some space")
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize(
    "arguments", [["--help"], ["list", "--json"], ["info", "b4", "--json"], ["doctor", "--help"]], ids=" ".join
)
def test_start_up_imports_nothing_heavy(arguments: list[str]) -> None:
    script = (
        "import sys; from edgenet.__main__ import main; code = main(sys.argv[1:]);"
        f"print([name for name in {HEAVY!r} if name in sys.modules], file=sys.stderr); sys.exit(code)"
    )
    done = _python("-c", script, *arguments)
    assert done.returncode == 0
    assert done.stderr.splitlines()[-1] == "[]"


def test_importing_the_package_imports_nothing() -> None:
    done = _python("-c", "import sys; import edgenet; print([name for name in sys.modules if 'edgenet.' in name])")
    assert done.stdout == "[]\n"


@pytest.mark.parametrize(
    ("arguments", "modules"), [(["--help"], 200), (["list"], 380), (["info", "b4"], 380)], ids=["help", "list", "info"]
)
def test_start_up_loads_few_modules(arguments: list[str], modules: int) -> None:
    """Hold start-up by what is loaded, whatever the machine: 153 and 326 modules, typer's and pydantic's among them.

    What that takes is shown by `python -m benchmarks.peers.startup`.
    """
    script = (
        "import sys; from edgenet.__main__ import main; code = main(sys.argv[1:]);"
        "print(len(sys.modules), file=sys.stderr); sys.exit(code)"
    )
    done = _python("-c", script, *arguments)
    assert done.returncode == 0
    assert 50 < int(done.stderr.splitlines()[-1]) <= modules
