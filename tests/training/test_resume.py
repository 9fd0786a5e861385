"""A training that was cut off goes on as if nothing had happened: the same curve, the same weights to the last bit."""

from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.training.pictures import write_colours
from tests.training.programs import differing_arrays, history_of, run

# 48 training images: 3 epochs of 6 steps, the first with the backbone frozen.
RECIPE = """
[schedule]
batch_size = 8
warmup_epochs = 1
epochs = 2
"""


@dataclass(frozen=True)
class Accident:
    name: str
    what: str
    after_steps: int
    code: int
    said: str
    saved_epochs: int


ACCIDENTS = (
    Accident("kill -9 in the middle of fine-tuning", "SIGKILL", 9, -9, "", 1),
    Accident("an interrupt in the middle of fine-tuning", "SIGINT", 9, 130, "error: interrupted", 1),
)
RARER = (
    Accident("kill -9 in the first epoch", "SIGKILL", 3, -9, "", 0),
    Accident("a scheduler's SIGTERM in the last epoch", "SIGTERM", 15, 130, "error: interrupted", 2),
    Accident("an interrupt in the last step of an epoch", "SIGINT", 12, 130, "error: interrupted", 2),
    Accident(
        "a loss of NaN", "NAN", 15, 1, "loss is nan at step 3 of 6 in epoch 3; the checkpoint of epoch 2 is kept", 2
    ),
    Accident("a full disk", "FULL", 9, 2, "error: cannot write", 1),
)
CASES = [*ACCIDENTS, *(pytest.param(row, marks=pytest.mark.slow) for row in RARER)]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("resume")
    write_colours(folder / "data", 20)
    (folder / "recipe.toml").write_text(RECIPE)
    return folder


@pytest.fixture(scope="module")
def uninterrupted(folder: Path) -> Path:
    code, said = run(*_command(folder, "whole"))
    assert code == 0, said
    return folder / "whole"


def _command(folder: Path, name: str) -> list[str | Path]:
    words = ("train", "--variant", "lite0", "--weights", "random", "--side", "32")
    return [*words, "--data", folder / "data", "--recipe", folder / "recipe.toml", "--out", folder / name]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_a_training_goes_on_exactly_after(case: Accident, folder: Path, uninterrupted: Path) -> None:
    out = folder / case.name.replace(" ", "-")
    code, said = run(
        *_command(folder, out.name), environment={"EDGENET_TEST_ACCIDENT": f"{case.what} {case.after_steps}"}
    )
    assert code == case.code, said
    assert case.said in said
    assert len(history_of(out)) == case.saved_epochs
    code, said = run("train", "--resume", "--out", out)
    assert code == 0, said
    assert history_of(out) == history_of(uninterrupted)
    assert not differing_arrays(out, uninterrupted)
    assert (out / "best.safetensors").read_bytes() == (uninterrupted / "best.safetensors").read_bytes()
