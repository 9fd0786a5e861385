"""`edgenet compile --compiler docker:IMAGE`: with a double of the engine, and the real one where its service runs."""

from __future__ import annotations

import shlex
import shutil
import subprocess
import sys
from pathlib import Path, PurePosixPath

import pytest

from devices.containers import Container
from tests.compile.compiler_double import write_double
from tests.compile.test_compile import left_behind, running
from tests.verbs import Run

# A DOUBLE of docker: `image inspect` knows one image, `run` starts the entrypoint out of a folder in the mounted one.
ENGINE = """#!{python}
import os, subprocess, sys
words, folder = sys.argv[1:], {folder!r}
with open(folder + "/engine.calls", "a") as file:
    file.write(" ".join(words) + "\\n")
if words[:2] == ["image", "inspect"]:
    sys.exit(0 if words[2] == "coral:16" else "Error: No such image: " + words[2])
if words[0] == "rm":
    sys.exit(0)
values = {{word: words[place + 1] for place, word in enumerate(words[:-1])}}
source = values["--mount"].split("source=")[1].split(",")[0]
image = words.index("coral:16")
os.chdir(source)
{broken}
sys.exit(subprocess.call([folder + "/" + values["--entrypoint"], *words[image + 1:]]))
"""


def engine(folder: Path, monkeypatch: pytest.MonkeyPatch, mode: str = "good", broken: str = "") -> None:
    """Put a double of docker on PATH, with an image that holds a double of the compiler."""
    write_double(folder, mode)
    path = folder / "docker"
    path.write_text(ENGINE.format(python=sys.executable, folder=str(folder), broken=broken))
    path.chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")


def test_it_runs_in_the_image(
    run: Run, home: Path, model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine(tmp_path / "bin", monkeypatch)
    done = run(model, "--compiler", "docker:coral:16", "--out", tmp_path / "out", "--json")
    assert done.code == 0, done.err
    assert done.document["compiled"][0]["place"] == "docker:coral:16"
    calls = [shlex.split(line) for line in (tmp_path / "bin" / "engine.calls").read_text().splitlines()]
    assert [call[0] for call in calls] == ["image", "run", "run", "rm"]
    for call in calls[1:3]:
        assert "--rm" in call
        assert [call[call.index(word) + 1] for word in ("--network", "--pull", "--cap-drop")] == [
            "none",
            "never",
            "ALL",
        ]
    assert left_behind(home) == []


def test_a_container_that_hangs_is_ended(
    run: Run, home: Path, model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("benchmarks.compile.GRACE_S", 0.0)
    engine(tmp_path / "bin", monkeypatch, "hangs")
    done = run(model, "--compiler", "docker:coral:16", "--out", tmp_path / "out", "--timeout", "2")
    assert done.code == 1
    calls = (tmp_path / "bin" / "engine.calls").read_text().splitlines()
    name = calls[2].split("--name ")[1].split()[0]
    assert calls[-1] == f"rm --force {name}"
    assert left_behind(home) == []
    assert not running(tmp_path / "bin")


def test_what_is_not_there(run: Run, home: Path, model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    engine(tmp_path / "bin", monkeypatch)
    done = run(model, "--compiler", "docker:other", "--out", tmp_path / "out")
    assert (done.code, "has no image other: Error: No such image: other; docker pull or build it" in done.err) == (
        3,
        True,
    )
    engine(tmp_path / "bin", monkeypatch, broken='sys.stderr.write("exec: no such file\\n"); sys.exit(125)')
    done = run(model, "--compiler", "docker:coral:16", "--out", tmp_path / "out")
    assert (done.code, "docker:coral:16 cannot be run: " in done.err) == (3, True)
    monkeypatch.setenv("PATH", str(tmp_path / "nothing"))
    done = run(model, "--compiler", "docker:coral:16", "--out", tmp_path / "out")
    assert (done.code, "neither docker nor podman is on PATH" in done.err) == (3, True)


def test_podman_keeps_the_users_own_id() -> None:
    words = Container("/usr/bin/podman", "x", "1:1").command("n", PurePosixPath("/w"), 9, ["edgetpu_compiler"])
    assert words[words.index("--userns") + 1] == "keep-id"
    assert "--user" not in words


def _answers() -> bool:
    docker = shutil.which("docker")
    return docker is not None and subprocess.run([docker, "info"], capture_output=True, check=False).returncode == 0


@pytest.mark.skipif(not _answers(), reason="no Docker service answers here")
def test_the_real_engine_has_no_such_image(run: Run, model: Path, tmp_path: Path) -> None:
    done = run(model, "--compiler", "docker:edgenet-has-no-such-image:0", "--out", tmp_path)
    assert (done.code, "has no image edgenet-has-no-such-image:0" in done.err) == (3, True)
