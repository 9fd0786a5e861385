"""A small training from pictures to files: it learns, and the run is a folder that the other verbs take."""

import json
from dataclasses import dataclass
from pathlib import Path

import pytest

import edgenet
from edgenet.artifact import find_artifacts
from edgenet.errors import InputError
from edgenet.training.recipe import Recipe, ScheduleRecipe
from edgenet.variants import VARIANTS
from edgenet.weights.run_folder import read_run
from tests.networks import small_variant
from tests.training.pictures import COLOURS, write_colours
from tests.training.programs import history_of, run

RECIPE = """
[schedule]
batch_size = 16
warmup_epochs = 1
epochs = 6
head_rate = 1e-2
peak_rate = 1e-2
average_decay = 0.9

[augment]
operations = 1
mix_share = 0.2
"""


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("trained")
    write_colours(folder / "data", 25)
    (folder / "recipe.toml").write_text(RECIPE)
    code, said = run(
        "train", "--variant", "lite0", "--weights", "random", "--side", "32", "--data", folder / "data",
        "--recipe", folder / "recipe.toml", "--out", folder / "run",
    )  # fmt: skip
    assert code == 0, said
    assert f"next: edgenet convert --from {folder / 'run'} --int8" in said
    return folder / "run"


def test_it_learns(trained: Path) -> None:
    record = read_run(trained)
    assert record.val_accuracy >= 0.9
    assert record.val_images == 15
    assert [row.stage for row in history_of(trained)] == ["warm-up"] + 6 * ["fine-tuning"]


def test_python_trains_as_the_command_does(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(VARIANTS, "lite0", small_variant("lite"))
    write_colours(tmp_path / "data", 10)
    recipe = Recipe(schedule=ScheduleRecipe(batch_size=8, warmup_epochs=0, epochs=1))
    trained = edgenet.train(
        "lite0", tmp_path / "data", tmp_path / "run", recipe=recipe, weights="random", side_px=32, seed=3
    )
    assert trained is not None
    assert (trained.run, trained.run.seed, trained.run.epochs) == (read_run(tmp_path / "run"), 3, 1)
    assert trained.artifact.manifest.weights.labels == tuple(COLOURS)


def test_a_finished_run_is_not_resumed_and_another_folder_is_none(trained: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="is finished"):
        edgenet.resume_training(trained)
    with pytest.raises(InputError, match="is no folder of a run"):
        edgenet.resume_training(tmp_path / "none")


def test_the_run_holds_what_it_promises(trained: Path) -> None:
    assert {path.name for path in trained.iterdir()} == {
        "best.safetensors", "checkpoint.safetensors", "lite0-fp32.golden.npz", "lite0-fp32.manifest.json",
        "lite0-fp32.tflite", "recipe.toml", "run.json", "split.csv", "tensorboard", "training.html", "training.json",
    }  # fmt: skip
    [artifact] = find_artifacts(trained)
    assert artifact.manifest.weights.labels == tuple(COLOURS)
    assert artifact.manifest.side_px == 32


@dataclass(frozen=True)
class Verb:
    words: list[str]
    says: str


VERBS = (
    Verb(["verify", "{run}", "--data", "{data}"], "labels by the class folders' names, which are the model's labels"),
    Verb(["benchmark", "{run}", "--protocol", "quick", "--out", "{out}/benchmark"], "lite0-fp32"),
    Verb(["train", "--resume", "--out", "{run}"], "is finished; edgenet convert --from"),
    Verb(["train", "--variant", "lite0", "--data", "{data}", "--out", "{run}"], "holds a training; go on with it"),
    Verb(["convert", "--from", "{run}", "--weights", "random"], "allowed: one of them"),
    Verb(["convert", "--from", "{run}", "--variant", "b0"], "is a training of lite0, not b0"),
)


@pytest.mark.parametrize("verb", VERBS, ids=lambda verb: " ".join(verb.words))
def test_other_verbs_take_the_run(verb: Verb, trained: Path, tmp_path: Path) -> None:
    places = {"run": trained, "data": trained.parent / "data", "out": tmp_path}
    code, said = run(*(word.format(**places) for word in verb.words))
    assert verb.says in said
    assert code == (2 if "error:" in said else 0)


def test_convert_from_the_run_and_again_from_its_manifest(trained: Path, tmp_path: Path) -> None:
    data = str(trained.parent / "data")
    code, said = run("convert", "--from", trained, "--int8", "--calib", data, "--out", tmp_path / "int8", "--json")
    assert code == 0, said
    manifest = tmp_path / "int8" / "lite0-w8a8.manifest.json"
    weights = json.loads(manifest.read_text())["weights"]
    assert (weights["labels"], weights["num_classes"]) == (list(COLOURS), 3)
    assert weights["origin"] == "trained by edgenet: run"
    code, said = run("convert", "--from", manifest, "--weights", trained, "--calib", data, "--out", tmp_path / "again")
    assert code == 0, said
    assert "the same bytes as the manifest says" in said
