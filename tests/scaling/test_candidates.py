"""Candidates that are really trained, with a lite0 cut down: one here, and whole searches as programs of their own."""

import json
import shutil
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from edgenet.coefficients import paper, read_coefficients
from edgenet.progress import silent
from edgenet.scaling.candidate import make_candidate, train_candidate
from edgenet.scaling.proxy import proxy_recipe
from edgenet.scaling.search import SearchRequest, begin
from edgenet.training import train
from edgenet.variants import VARIANTS
from edgenet.weights.run_folder import read_run
from tests.networks import small_variant
from tests.training.pictures import write_colours
from tests.training.programs import run

RECIPE = "[schedule]\nbatch_size = 8\naverage_decay = 0.9\npeak_rate = 1e-2\n"
# Of these only 1.2, 1.1, 1.15 and 2, 1, 1 keep the constraint. 24 images train: 2 epochs of 3 steps.
GRID = "alpha = [1.2, 2.0]\nbeta = [1.0, 1.1]\ngamma = [1.0, 1.15]\nproduct = 2.0\ntolerance = 0.081\n"
SEARCH = ("scale", "--search", "--base", "lite0", "--side", "32", "--budget", "2")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("scale")
    write_colours(folder / "data", 10)
    (folder / "recipe.toml").write_text(RECIPE)
    (folder / "grid.toml").write_text(GRID)
    return folder


def _begun(folder: Path, name: str) -> list[str | Path]:
    files = ("--data", folder / "data", "--recipe", folder / "recipe.toml", "--grid", folder / "grid.toml")
    return [*SEARCH, *files, "--out", folder / name]


def _trials(out: Path) -> list[dict[str, Any]]:
    """Return the candidates of a search's record, without the times that they took."""
    rows: list[dict[str, Any]] = json.loads((out / "search.json").read_text())["trials"]
    return [{**row, "score": {**row["score"], "duration_s": 0.0}} for row in rows]


def test_a_candidate_is_trained_once(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    small = small_variant("lite")
    monkeypatch.setitem(VARIANTS, "lite0", replace(small, stages=small.stages[:3]))
    recipe = proxy_recipe(folder / "recipe.toml")
    search = begin(SearchRequest(folder / "data", tmp_path, "lite0", 1, recipe, GRID, 32), (), silent)
    candidate = make_candidate(paper("lite0"), search.side_px, len(search.labels))
    told: dict[str, int] = {}
    first = train_candidate(candidate, search, tmp_path, (), lambda step, done, total: told.update({step: done}))
    assert (first.steps, told["training"], first.variant) == (3, 3, "scaled-1-lite0")
    assert first.score is not None
    assert first.score.hits == round(first.score.accuracy * search.val_images)
    assert first.macs_ratio == candidate.counts.macs / search.base_macs

    monkeypatch.delattr(train, "train")  # what is finished is read, and trained no more
    assert train_candidate(candidate, search, tmp_path, (), silent) == first


@pytest.fixture(scope="module")
def whole(folder: Path) -> Path:
    code, said = run(*_begun(folder, "whole"))
    assert code == 0, said
    assert "of training steps, by the time that one takes now; starting each candidate comes on top" in said
    assert "one seed each: another seed moves these figures as well" in said
    return folder / "whole"


@pytest.mark.slow
def test_a_search_leaves_coefficients_that_other_verbs_take(whole: Path, tmp_path: Path) -> None:
    first, second = _trials(whole)
    assert (first["steps"], second["steps"]) == (6, 6)
    assert (first["side_px"], second["side_px"]) == (36, 32)
    assert read_run(whole / first["run"]).began_from.source == "random"
    assert not list(whole.rglob("checkpoint.safetensors"))
    taken = read_coefficients(whole)
    best = max(_trials(whole), key=lambda row: (row["score"]["accuracy"], -row["macs"]))
    assert best["coefficients"] == taken.model_dump()

    name = f"scaled:0.5@{whole}"
    code, said = run("convert", "--variant", name, "--weights", "random", "--out", tmp_path)
    assert code == 0, said
    [manifest] = tmp_path.glob("*.manifest.json")
    assert json.loads(manifest.read_text())["variant"] == taken.variant(0.5).name
    shutil.copy(manifest, tmp_path / "kept.json")
    code, said = run("convert", "--from", manifest, "--out", tmp_path / "again")
    assert code == 0, said
    assert "the same bytes as the manifest says" in said
    code, said = run("verify", tmp_path / manifest.name.replace(".manifest.json", ".tflite"))
    assert code == 0, said

    code, said = run(
        "train", "--variant", name, "--data", whole.parent / "data", "--side", "32", "--recipe",
        whole.parent / "recipe.toml", "--out", tmp_path / "run",
        environment={"EDGENET_TEST_ACCIDENT": "SIGINT 4"},
    )  # fmt: skip
    assert code == 130, said
    code, said = run("train", "--resume", "--out", tmp_path / "run")
    assert code == 0, said
    assert read_run(tmp_path / "run").variant == taken.variant(0.5).name
    code, said = run("scale", "--search", "--resume", "--out", whole, "--json")
    assert code == 0, said
    assert "is finished" in said


@dataclass(frozen=True)
class Accident:
    name: str
    what: str
    after_steps: int
    code: int
    done: int  # candidates
    said: str


ACCIDENTS = (
    Accident("kill -9 in the second candidate's second epoch", "SIGKILL", 11, -9, 1, ""),
    Accident("kill -9 in the first candidate's first epoch", "SIGKILL", 2, -9, 0, ""),
    Accident("Ctrl-C in the second candidate", "SIGINT", 11, 130, 1, "to go on: edgenet scale --search --resume --out"),
)


@pytest.mark.slow
@pytest.mark.parametrize("case", ACCIDENTS, ids=lambda case: case.name)
def test_a_search_that_was_cut_off_ends_as_a_whole_one(case: Accident, folder: Path, whole: Path) -> None:
    out = folder / case.name.replace(" ", "-")
    accident = {"EDGENET_TEST_ACCIDENT": f"{case.what} {case.after_steps}"}
    code, said = run(*_begun(folder, out.name), environment=accident)
    assert code == case.code, said
    assert case.said in said
    assert len(_trials(out)) == case.done
    finished = {path: path.stat().st_mtime_ns for row in _trials(out) for path in (out / row["run"]).rglob("*")}
    code, said = run("scale", "--search", "--resume", "--out", out)
    assert code == 0, said
    assert _trials(out) == _trials(whole)
    assert {path: path.stat().st_mtime_ns for path in finished} == finished  # trained once
    assert read_coefficients(out) == read_coefficients(whole)


@pytest.mark.slow
def test_a_loss_that_is_no_number_is_a_result(folder: Path) -> None:
    code, said = run(*_begun(folder, "nan"), environment={"EDGENET_TEST_ACCIDENT": "NAN 2"})
    assert code == 0, said
    assert "candidate 1/2, alpha 1.2, beta 1.1, gamma 1.15: the loss is nan at step 2 of 3 in epoch 1" in said
    assert read_coefficients(folder / "nan").alpha == 2.0
