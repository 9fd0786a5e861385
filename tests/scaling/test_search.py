"""A search as such: its grid, its order, what it takes and what it says of noise. Its trainer is a double here."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from edgenet.agreement import proportion
from edgenet.coefficients import Coefficients, paper, read_coefficients
from edgenet.counts import count
from edgenet.errors import GateFailed, InputError
from edgenet.layers import expand
from edgenet.progress import Report, silent
from edgenet.scaling import search as searching
from edgenet.scaling.candidate import Candidate, make_candidate
from edgenet.scaling.grid import candidates, shipped_grid
from edgenet.scaling.outcome import ONE_SEED, outcome
from edgenet.scaling.proxy import proxy_recipe
from edgenet.scaling.record import ScoreRecord, SearchRecord, TrialRecord, read_search
from edgenet.scaling.search import SearchRequest
from tests.training.pictures import write_colours

SMALL_GRID = "alpha = [1.0, 1.2, 2.0]\nbeta = [1.0, 1.1]\ngamma = [1.0, 1.15, 1.4]\nproduct = 2.0\ntolerance = 0.081\n"
RECIPE = "[schedule]\nbatch_size = 4\n"
VAL_IMAGES = 100


def test_the_shipped_grid_keeps_the_constraint_and_holds_the_papers_result() -> None:
    rows = candidates(shipped_grid(), "grid.toml", "b0")
    assert len(rows) == 10
    assert paper("b0") in rows
    assert all(abs(row.product - 2) <= 0.081 for row in rows)


@dataclass(frozen=True)
class WrongGrid:
    name: str
    text: str
    says: str


WRONG_GRIDS = (
    WrongGrid("too few", SMALL_GRID.replace("0.081", "0.0"), "1 triples have .*; allowed: 2 to 200 of them"),
    WrongGrid("a factor below 1", SMALL_GRID.replace("1.2,", "0.9,"), "alpha.1: Input should be greater"),
    WrongGrid("an unknown key", SMALL_GRID + "delta = 1\n", "delta: Extra inputs are not permitted"),
    WrongGrid("no TOML", "alpha", "mine is no TOML"),
)


@pytest.mark.parametrize("case", WRONG_GRIDS, ids=lambda case: case.name)
def test_a_wrong_grid_is_refused(case: WrongGrid) -> None:
    with pytest.raises(InputError, match=case.says):
        candidates(case.text, "mine", "b0")


def test_a_candidate_costs_what_its_rounded_network_costs() -> None:
    candidate = make_candidate(paper("lite0"), 64, 10)
    assert candidate.side_px == 74
    assert candidate.counts == count(expand(paper("lite0").variant(1), 10, 74))
    assert candidate.run == "candidates/a1.2-b1.1-g1.15"


def _trial(alpha: float, hits: int, macs: int = 100, failure: str = "") -> TrialRecord:
    share = proportion(hits, VAL_IMAGES)
    score = ScoreRecord(
        hits=hits, accuracy=share.fraction, accuracy_low=share.low, accuracy_high=share.high, val_loss=1.0,
        duration_s=1.0,
    )  # fmt: skip
    factors = Coefficients(base="b0", alpha=alpha, beta=1.1, gamma=1.15)
    return TrialRecord(
        coefficients=factors, run=f"candidates/{alpha}", variant=factors.variant(1).name, side_px=74, macs=macs,
        macs_ratio=macs / 50, parameters=1000, steps=12, score=None if failure else score, failure=failure,
    )  # fmt: skip


@dataclass(frozen=True)
class Decision:
    name: str
    trials: tuple[TrialRecord, ...]
    alpha: float
    near: tuple[float, ...]
    says: tuple[str, ...]


DECISIONS = (
    Decision("a clear lead", (_trial(1.2, 50), _trial(1.4, 90)), 1.4, (), ("overlaps no other candidate's",)),
    Decision(
        "nothing but noise", (_trial(1.2, 58), _trial(1.4, 60)), 1.4, (1.2,),
        ("all 95 % intervals overlap: this search shows no difference", "the paper's alpha 1.2, beta 1.1, gamma 1.15"),
    ),
    Decision(
        "one of two near", (_trial(1.2, 20), _trial(1.4, 88), _trial(1.6, 90)), 1.6, (1.4,),
        ("1 of the 2 others cannot be told from it",),
    ),
    Decision("a draw goes to the cheaper", (_trial(1.2, 80, 120), _trial(1.4, 80, 110)), 1.4, (1.2,), ()),
    Decision("unequal cost", (_trial(1.2, 50, 100), _trial(1.4, 90, 130)), 1.4, (), ("cost 2.00 to 2.60 times",)),
    Decision(
        "one diverged", (_trial(1.2, 0, failure="the loss is nan"), _trial(1.4, 5)), 1.4, (),
        ("1 candidates did not come to their end; the first: the loss is nan",),
    ),
)  # fmt: skip


@pytest.mark.parametrize("case", DECISIONS, ids=lambda case: case.name)
def test_the_best_is_taken_and_noise_is_named(case: Decision) -> None:
    found = outcome(case.trials)
    assert found.coefficients.alpha == case.alpha
    assert tuple(row.alpha for row in found.within_noise) == case.near
    for words in (*case.says, ONE_SEED):
        assert any(words in note for note in found.notes)


def test_a_search_without_a_result_fails() -> None:
    with pytest.raises(GateFailed, match="none of 1 candidates came to its end; the first: the loss is nan"):
        outcome([_trial(1.2, 0, failure="the loss is nan")])


@dataclass
class Double:
    """Stands for the trainer: deeper is better; `accident` happens before the candidate of that number."""

    accident: Callable[[], None] | None = None
    number: int = -1
    trained: list[str] = field(default_factory=list)

    def __call__(
        self, candidate: Candidate, search: SearchRecord, out: Path, command: tuple[str, ...], report: Report
    ) -> TrialRecord:
        del search, out, command
        if self.accident and len(self.trained) == self.number:
            self.accident()
        self.trained.append(candidate.run)
        report("training", 1, 1)
        return _trial(candidate.coefficients.alpha, round(40 * candidate.coefficients.alpha)).model_copy(
            update={"coefficients": candidate.coefficients, "run": candidate.run}
        )


def _interrupt() -> None:
    raise KeyboardInterrupt


@pytest.fixture
def request_of(tmp_path: Path) -> SearchRequest:
    write_colours(tmp_path / "data", 5)
    (tmp_path / "recipe.toml").write_text(RECIPE)
    recipe = proxy_recipe(tmp_path / "recipe.toml")
    return SearchRequest(tmp_path / "data", tmp_path / "run", "lite0", 3, recipe, SMALL_GRID, side_px=32)


def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    # A step that is timed takes seconds, of a network that is then not trained here.
    monkeypatch.setattr("edgenet.scaling.estimate.step_duration_s", lambda candidate, classes, batch_size: 0.5)


def test_a_stopped_search_goes_on_and_trains_nothing_twice(
    request_of: SearchRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    _quick(monkeypatch)
    said: list[str] = []
    record = searching.begin(request_of, ("edgenet",), silent)
    assert (record.train_images, record.val_images, record.steps) == (12, 3, 9)
    first = Double(_interrupt, number=2)
    with pytest.raises(KeyboardInterrupt):
        searching.search(record, request_of.out, ("edgenet",), silent, said.append, first)
    assert [row.run for row in read_search(request_of.out).trials] == first.trained

    record = searching.reopen(request_of.out, None, silent)
    second = Double()
    record = searching.search(record, request_of.out, ("edgenet",), silent, said.append, second)
    assert (first.trained, second.trained) == (
        ["candidates/a1-b1-g1.4", "candidates/a1.2-b1.1-g1.15"], ["candidates/a2-b1-g1"],
    )  # fmt: skip
    assert record == read_search(request_of.out)
    assert record.outcome is not None
    assert read_coefficients(request_of.out) == record.outcome.coefficients
    assert record.outcome.coefficients.alpha == 2.0
    assert any(re.search(r"; about \d+ (s|min) left$", line) for line in said)
    assert any("by the time that one takes now" in line for line in said)

    third = Double()
    assert searching.search(record, request_of.out, (), silent, said.append, third) == record
    assert third.trained == []
    assert said[-1].endswith("is finished")


def test_a_search_does_not_go_on_with_other_images(request_of: SearchRequest) -> None:
    searching.begin(request_of, ("edgenet",), silent)
    (request_of.data / "red" / "000.png").unlink()
    with pytest.raises(InputError, match=r"the data is not what the run began with: 1 are gone \('red/000.png'\)"):
        searching.reopen(request_of.out, None, silent)


def test_a_search_does_not_replace_another(request_of: SearchRequest) -> None:
    searching.begin(request_of, ("edgenet",), silent)
    with pytest.raises(InputError, match="holds a search; go on with it: add --resume"):
        searching.begin(request_of, ("edgenet",), silent)


def test_a_damaged_record_is_refused(request_of: SearchRequest) -> None:
    searching.begin(request_of, ("edgenet",), silent)
    (request_of.out / "search.json").write_text("{}")
    with pytest.raises(InputError, match="is no record of a search: base: Field required"):
        searching.reopen(request_of.out, None, silent)


def test_every_candidate_gets_the_same_recipe() -> None:
    recipe = searching.budgeted(proxy_recipe(None), 7)
    schedule = recipe.schedule
    assert (schedule.warmup_epochs, schedule.epochs, schedule.patience_epochs) == (0, 7, 7)
    assert (schedule.depth_decay, recipe.augment.operations) == (1.0, 0)
