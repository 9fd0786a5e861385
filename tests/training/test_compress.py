"""Whole trainings that compress: what is reached stands in the files, and one that was cut off goes on exactly."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file

from edgenet.training.recipe import Recipe
from edgenet.weights.learned_ranges import RANGES_NAME
from edgenet.weights.run_folder import read_run
from tests.training.compressed_run import (
    both_logits,
    int8_of,
    interrupt_after,
    kernels_in,
    recipe,
    resume_tiny,
    tiny_variants,
    train_tiny,
)
from tests.training.pictures import write_colours
from tests.training.programs import differing_arrays, history_of

__all__ = ["tiny_variants"]
CLUSTERS = 16


@dataclass(frozen=True)
class Case:
    name: str
    family: str
    prune: str = ""
    cluster: int = 0
    qat: bool = False


PCQAT = Case("prune, cluster, qat: b0", "b", "0.5", CLUSTERS, True)
OTHERS = (
    Case("prune", "lite", prune="0.5"),
    Case("2:4", "lite", prune="2:4"),
    Case("cluster", "lite", cluster=CLUSTERS),
    Case("qat", "b", qat=True),
    Case("prune, qat", "lite", "0.5", qat=True),
    Case("2:4, qat", "edgetpu", "2:4", qat=True),
    Case("cluster, qat", "edgetpu", cluster=CLUSTERS, qat=True),
    Case("2:4, cluster, qat", "v2", "2:4", CLUSTERS, True),
)
CASES = [PCQAT, *(pytest.param(case, marks=pytest.mark.slow) for case in OTHERS)]


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_colours(tmp_path_factory.mktemp("compress") / "data", 20)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_what_was_trained_stands_in_the_file(case: Case, data: Path, tmp_path: Path) -> None:
    run = train_tiny(case.family, data, tmp_path / "run", recipe(case.prune, case.cluster, case.qat))
    record = read_run(run).compress
    assert record is not None
    artifact = int8_of(run, tmp_path / "int8")
    content = artifact.path.read_bytes()
    kernels = kernels_in(content, run)
    assert len(kernels) == len(record.kernels)
    if case.prune:
        assert record.sparsity == pytest.approx(0.5, abs=0.01)
        assert all((steps == 0).mean() >= 0.48 for steps in kernels.values())
    if case.prune == "2:4":
        assert all(_at_most_two_of_four(steps) for steps in kernels.values())
    if case.cluster:
        assert max(row.distinct for row in record.kernels.values()) <= CLUSTERS
    if case.cluster and case.qat:  # a batch norm that turns a channel's sign turns that of its steps
        assert all(len(np.unique(np.abs(steps))) <= CLUSTERS for steps in kernels.values())
    assert (artifact.manifest.learned_ranges is not None) == case.qat
    assert (artifact.manifest.calibration is None) == case.qat
    if case.qat:
        expected, got = both_logits(run, content, sorted(data.rglob("*.png")))
        assert (expected.argmax(axis=1) == got.argmax(axis=1)).mean() >= 0.98


@dataclass(frozen=True)
class Cut:
    family: str
    recipe: Recipe
    after_steps: int  # of 3 an epoch


CUTS = (
    Cut("b", recipe(qat=True, epochs=2), 4),
    pytest.param(Cut("b", recipe("0.5", CLUSTERS, True), 2), marks=pytest.mark.slow),
    pytest.param(Cut("b", recipe("2:4", CLUSTERS, True), 5), marks=pytest.mark.slow),
    pytest.param(Cut("v2", recipe("0.5", CLUSTERS, True), 8), marks=pytest.mark.slow),
)


@pytest.mark.parametrize("cut", CUTS, ids=lambda cut: f"{cut.family}, {', '.join(cut.recipe.compress.techniques)}")
def test_a_compressed_training_goes_on_exactly(cut: Cut, data: Path, tmp_path: Path) -> None:
    whole = train_tiny(cut.family, data, tmp_path / "whole", cut.recipe)
    with interrupt_after(cut.after_steps):
        train_tiny(cut.family, data, tmp_path / "cut", cut.recipe)
    resume_tiny(tmp_path / "cut")
    assert not differing_arrays(whole, tmp_path / "cut")
    assert history_of(whole) == history_of(tmp_path / "cut")
    for name in ("best.safetensors", RANGES_NAME):
        assert (whole / name).read_bytes() == (tmp_path / "cut" / name).read_bytes()


@pytest.mark.slow
def test_a_run_keeps_its_zeros_when_it_is_trained_on(data: Path, tmp_path: Path) -> None:
    pruned = train_tiny("lite", data, tmp_path / "pruned", recipe("0.5"))
    trained = train_tiny("lite", data, tmp_path / "trained", recipe("0.5", qat=True), str(pruned))
    before, after = (load_file(run / "best.safetensors") for run in (pruned, trained))
    record = read_run(trained).compress
    assert record is not None
    for name in record.kernels:
        assert not after[f"{name}.weight"][before[f"{name}.weight"] == 0].any()


def _at_most_two_of_four(steps: "np.ndarray[tuple[int, ...], np.dtype[np.int8]]") -> bool:
    rows = steps.reshape(-1, steps.shape[-1])
    padded = np.pad(rows, ((0, 0), (0, -rows.shape[1] % 4)))
    return bool(((padded.reshape(len(rows), -1, 4) != 0).sum(axis=2) <= 2).all())
