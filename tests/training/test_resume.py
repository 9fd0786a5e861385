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
class Cut:
    name: str
    signal: str
    after_steps: int
    code: int
    said: str


CUTS = (
    Cut("kill -9 in the first epoch", "SIGKILL", 3, -9, ""),
    Cut("kill -9 in the middle of fine-tuning", "SIGKILL", 9, -9, ""),
    Cut("an interrupt in the middle of fine-tuning", "SIGINT", 9, 130, "error: interrupted"),
    Cut("a scheduler's SIGTERM in the last epoch", "SIGTERM", 15, 130, "error: interrupted"),
)


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


@pytest.mark.parametrize("cut", CUTS, ids=lambda cut: cut.name)
def test_a_cut_off_training_goes_on_exactly(cut: Cut, folder: Path, uninterrupted: Path) -> None:
    name = cut.name.replace(" ", "-")
    code, said = run(*_command(folder, name), environment={"EDGENET_TEST_STOP": f"{cut.signal} {cut.after_steps}"})
    assert code == cut.code, said
    assert cut.said in said
    code, said = run("train", "--resume", "--out", folder / name)
    assert code == 0, said
    assert history_of(folder / name) == history_of(uninterrupted)
    assert not differing_arrays(folder / name, uninterrupted)
    assert (folder / name / "best.safetensors").read_bytes() == (uninterrupted / "best.safetensors").read_bytes()
