"""A run read back: whole, or refused with the reason; and the page about it."""

import re
from dataclasses import dataclass
from html import unescape
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from benchmarks.confusion import class_rows, confused_pairs
from edgenet.errors import InputError
from edgenet.manifest import InputRecord
from edgenet.training.page import render_page
from edgenet.training.state import EpochRecord
from edgenet.variants import VARIANTS
from edgenet.weights.cache import file_digest
from edgenet.weights.load import load_weights
from edgenet.weights.random import random_weights
from edgenet.weights.run_folder import OriginRecord, RunRecord, is_run, run_weights

LABELS = ("cat & dog", "<b>emu</b>", "owl")
LITE0 = VARIANTS["lite0"]


def _record(sha256: str = "") -> RunRecord:
    weights = random_weights(LITE0, 0, len(LABELS))
    return RunRecord(
        variant="lite0", labels=LABELS, weights="best.safetensors", sha256=sha256,
        began_from=OriginRecord(source="packaged", origin="a package 0.1", sha256="0" * 64),
        preprocessing=InputRecord(**{**vars(weights.preprocessing), "side_px": 96}), padding="same",
        batch_norm_epsilon=1e-3, train_images=40, val_images=6, epochs=3, best_epoch=2, val_accuracy=0.5, val_loss=1.0,
        seed=0, recipe="[schedule]\n", tool_versions={"edgenet": "0.1.0"}, command=("edgenet", "train"),
    )  # fmt: skip


@pytest.fixture
def run(tmp_path: Path) -> Path:
    folder = tmp_path / "run"
    folder.mkdir()
    save_file(random_weights(LITE0, 0, len(LABELS)).tensors, folder / "best.safetensors")
    record = _record(file_digest(folder / "best.safetensors"))
    (folder / "run.json").write_text(record.model_dump_json())
    return folder


def test_a_run_gives_weights_with_labels_and_preprocessing(run: Path) -> None:
    weights = load_weights(str(run), LITE0, say=lambda text: None)
    assert (weights.labels, weights.num_classes, weights.source) == (LABELS, 3, "file")
    assert weights.preprocessing.side_px == 96
    assert weights.preprocessing.mean == (127.0,) * 3


@dataclass(frozen=True)
class Broken:
    name: str
    file: str
    content: str | None  # None: the file is taken away
    says: str


BROKEN = (
    Broken("unfinished", "run.json", None, "is not finished; edgenet train --resume --out"),
    Broken("no record", "run.json", "{}", "is no run: variant: Field required; train again"),
    Broken("no JSON", "run.json", "[", "is no run: the document"),
    Broken("other weights", "best.safetensors", "x", "is not the file of its run .sha256 differs."),
    Broken("no weights", "best.safetensors", None, "best.safetensors is missing"),
)


@pytest.mark.parametrize("broken", BROKEN, ids=lambda broken: broken.name)
def test_a_broken_run_is_refused(broken: Broken, run: Path) -> None:
    (run / "training.json").write_text("{}")
    if broken.content is None:
        (run / broken.file).unlink()
    else:
        (run / broken.file).write_text(broken.content)
    assert is_run(run)
    with pytest.raises(InputError, match=broken.says):
        run_weights(run)


def test_a_run_of_another_variant_is_refused(run: Path) -> None:
    with pytest.raises(InputError, match="is a training of lite0, not b0; allowed: lite0"):
        run_weights(run, VARIANTS["b0"])


CONFUSION = np.array([[2, 1, 0], [0, 1, 0], [1, 0, 1]])


def _history() -> list[EpochRecord]:
    return [
        EpochRecord(
            epoch=number, stage="fine-tuning", side_px=96, learning_rate=0.001, loss=2.0 / number, accuracy=0.4,
            val_loss=1.5 / number, val_accuracy=0.5, duration_s=1.25,
        )
        for number in (1, 2, 3)
    ]  # fmt: skip


def test_the_page_asks_for_nothing_and_runs_nothing() -> None:
    page = render_page(_record(), _history(), CONFUSION)
    assert not re.findall(r"(?:src|href)=|url\(|@import|<script|<link|https?://", page)
    assert "default-src 'none'; style-src 'sha256-" in unescape(page)
    assert page.count("<svg class=") == 2
    assert "<b>emu</b>" not in page
    assert "&lt;b&gt;emu&lt;/b&gt;" in page


def test_the_page_has_the_matrix_and_the_epochs() -> None:
    page = render_page(_record(), _history(), CONFUSION)
    assert len(re.findall(r'<td class="s\d( right)?">', page)) == CONFUSION.size
    assert "50.0 % of 6 validation images in 3 classes" in page
    assert page.count("<td>fine-tuning</td>") == 3


def test_figures_of_classes() -> None:
    counts = {(row, column): int(CONFUSION[row, column]) for row, column in np.ndindex(CONFUSION.shape)}
    rows = class_rows(LABELS, counts)
    assert [row.images for row in rows] == [3, 1, 2]
    assert [row.recall for row in rows] == pytest.approx([2 / 3, 1, 1 / 2])
    assert [row.precision for row in rows] == pytest.approx([2 / 3, 1 / 2, 1])
    assert [(pair.label, pair.taken_for, pair.images) for pair in confused_pairs(LABELS, counts)] == [
        ("cat & dog", "<b>emu</b>", 1),
        ("owl", "cat & dog", 1),
    ]
