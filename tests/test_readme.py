"""Every `edgenet` command line in the README runs, in order and in one folder, and prints what the README shows.

In a ```console block a line after `$ ` is a command and what follows is its output, stdout and stderr together; `...`
stands for anything. Figures that were measured may differ from one processor to the next, and so may the layer that
is worst: there a number stands for any number. In a ```bash block each line is a command; of a chain only the parts
that call edgenet are run here, since `.ci/run` runs the line that installs.
"""

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.training.pictures import write_colours

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
# README's commands call a folder of the user's own photos `photos`.
PHOTOS = ROOT.parent / "shared" / "data" / "imagenet-sample"
TIMEOUT_S = 300
MEASURES = (
    "train", "scale", "convert", "quantize", "verify", "evaluate", "try", "bundle", "diagnose", "benchmark", "compare",
    "sweep", "report",
)  # fmt: skip
NUMBER, LAYER = re.compile(r"\b\d+(\.\d+)?(e-\d+)?\b|\bequal\b"), re.compile(r"\S+ \(#\)")
# How much faster int8 is than float hangs on the processor: without VNNI hardly at all.
VERDICT = re.compile(r"\b(faster|slower|no difference shown)\b")
QUANTILE = re.compile(r"\bmedians\b|\b10th percentiles\b")  # which of the two shows a difference is up to the noise


@dataclass(frozen=True)
class Example:
    """One command line; `shown` is the output that the README gives it, None where it gives none."""

    command: str
    shown: str | None


def _examples() -> Iterator[Example]:
    for kind, body in re.findall(r"^```(console|bash)\n(.*?)^```$", README, re.MULTILINE | re.DOTALL):
        yield from _console(body) if kind == "console" else _bash(body)


def _console(body: str) -> Iterator[Example]:
    for entry in re.split(r"^\$ ", body, flags=re.MULTILINE)[1:]:
        command, _, shown = entry.partition("\n")
        yield Example(command, shown.rstrip("\n") or None)


def _bash(body: str) -> Iterator[Example]:
    for line in body.splitlines():
        for part in line.split(" && "):
            if shlex.split(part)[0].endswith("edgenet"):
                yield Example(part, None)


EXAMPLES = list(_examples())


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder in which all commands run, one after the other."""
    folder = tmp_path_factory.mktemp("readme")
    write_colours(folder / "colours", 20)
    blocks = re.findall(r"^```toml\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)
    [recipe] = [block for block in blocks if block.startswith("[schedule]")]
    (folder / "brief.toml").write_text(recipe, encoding="utf-8")
    if PHOTOS.is_dir():
        (folder / "photos").symlink_to(PHOTOS)
    return folder


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example.command)
def test_command_runs_and_prints_what_is_shown(example: Example, folder: Path) -> None:
    words = [name for word in shlex.split(example.command) for name in _expanded(word, folder)]
    if "photos" in example.command and not PHOTOS.is_dir():
        pytest.skip("needs real photos at ../shared/data/imagenet-sample")
    home = {"XDG_CACHE_HOME": str(folder / ".cache"), "XDG_CONFIG_HOME": str(folder / ".config")}
    environment = {**os.environ, **home, "PYTHONPATH": str(ROOT)}
    environment.pop("COLUMNS", None)
    done = subprocess.run(
        [sys.executable, "-m", "edgenet", *words[1:]],
        cwd=folder,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=TIMEOUT_S,
        check=False,
    )
    printed = "\n".join(line.rstrip() for line in done.stdout.splitlines())
    shown = example.shown or ""
    assert (done.returncode != 0) == ("\nerror: " in f"\n{shown}"), printed
    if words[1] in MEASURES:
        shown, printed = _without_figures(shown), _without_figures(printed)
    if shown:
        pattern = re.escape(shown).replace(re.escape("..."), ".*")
        assert re.fullmatch(pattern, printed, re.DOTALL), printed


def _expanded(word: str, folder: Path) -> list[str]:
    """Return the names that a shell makes of a word with a *."""
    return sorted(str(path.relative_to(folder)) for path in folder.glob(word)) if "*" in word else [word]


def _without_figures(text: str) -> str:
    """Return text with `#` for each number, `LAYER` for a layer with a figure, and single spaces and rules."""
    lines = [
        LAYER.sub("LAYER", NUMBER.sub("#", QUANTILE.sub("#", VERDICT.sub("#", line)))) for line in text.splitlines()
    ]
    return "\n".join(re.sub(r"─+", "─", re.sub(r" +", " ", line)).strip() for line in lines)


def test_the_readme_has_examples_of_both_kinds() -> None:
    assert sum(example.shown is not None for example in EXAMPLES) >= 3
    assert any(example.command.startswith(".venv/bin/edgenet convert") for example in EXAMPLES)


def test_one_command_installs_and_tests() -> None:
    lines = [line for line in README.splitlines() if "'.[test]'" in line]
    assert len(lines) == 1
    assert lines[0].startswith("python3 -m venv .venv && ")
    assert lines[0].endswith(" && .venv/bin/pytest -n auto --dist loadfile")


def test_the_python_example_runs(tmp_path: Path) -> None:
    blocks = re.findall(r"^```python\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)
    assert blocks
    for block in blocks:
        done = subprocess.run(
            [sys.executable, "-c", block],
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            capture_output=True,
            text=True,
            timeout=TIMEOUT_S,
            check=False,
        )
        assert done.returncode == 0, done.stderr
