"""A training that begins with channels cut out: its run is a narrower network, and is resumed exactly."""

from pathlib import Path

import pytest

from edgenet.artifact import find_artifacts
from edgenet.errors import InputError
from edgenet.training.recipe import default_recipe
from edgenet.training.setup import Request, first_weights, request_of_run, setup_record, with_head
from edgenet.variants import VARIANTS
from edgenet.weights.run_folder import SETUP_NAME, read_run
from tests.training.pictures import write_colours
from tests.training.programs import differing_arrays, history_of, run

RECIPE = """
[schedule]
batch_size = 8
warmup_epochs = 1
epochs = 2
"""


def _request(out: Path, cut_share: float) -> Request:
    lite0 = VARIANTS["lite0"]
    return Request(lite0, out, out, default_recipe(lite0), "random", 32, cut_share=cut_share)


def test_the_first_weights_are_narrower_and_take_a_new_head(tmp_path: Path) -> None:
    full, narrow = (first_weights(_request(tmp_path, share), print) for share in (0.0, 0.5))
    assert not full.widths
    assert narrow.widths
    assert narrow.sha256 == full.sha256  # of the file that both began from
    headed = with_head(narrow, ("cat", "dog", "owl"), 0)
    assert headed.tensors["classifier.weight"].shape == (3, narrow.architecture().head.out_channels)


def test_a_run_keeps_what_is_cut(tmp_path: Path) -> None:
    request = _request(tmp_path, 0.25)
    record = setup_record(request, first_weights(request, print))
    (tmp_path / SETUP_NAME).write_text(record.model_dump_json())
    assert request_of_run(tmp_path, None, "single")[0].cut_share == 0.25


def test_other_pruning_is_no_way_to_train_yet() -> None:
    from edgenet.cli.train import _cut_share

    assert [_cut_share(text) for text in ("", "channels:0.5")] == [0.0, 0.5]
    with pytest.raises(InputError, match="edgenet convert --from RUN --prune"):
        _cut_share("0.5")


@pytest.mark.slow
def test_a_cut_training_resumes_exactly_and_its_run_is_taken(tmp_path: Path) -> None:
    write_colours(tmp_path / "data", 20)
    (tmp_path / "recipe.toml").write_text(RECIPE)
    words = ("train", "--variant", "lite0", "--weights", "random", "--side", "32", "--prune", "channels:0.5",
             "--data", tmp_path / "data", "--recipe", tmp_path / "recipe.toml")  # fmt: skip
    code, said = run(*words, "--out", tmp_path / "whole")
    assert code == 0, said
    assert "layers are narrower" in said
    code, said = run(*words, "--out", tmp_path / "cut-off", environment={"EDGENET_TEST_ACCIDENT": "SIGKILL 9"})
    assert code == -9, said
    code, said = run("train", "--resume", "--out", tmp_path / "cut-off")
    assert code == 0, said
    assert history_of(tmp_path / "cut-off") == history_of(tmp_path / "whole")
    assert not differing_arrays(tmp_path / "cut-off", tmp_path / "whole")
    assert read_run(tmp_path / "whole").widths
    [artifact] = find_artifacts(tmp_path / "whole")
    assert artifact.path.name == "lite0-fp32-shrunk.tflite"
    code, said = run("convert", "--from", tmp_path / "whole", "--int8", "--samples", "16", "--out", tmp_path / "files")
    assert code == 0, said
    assert "compared with the full variant with seeded random weights" in said
    files = tmp_path / "files"
    for verb in (("verify", files, "--weights", tmp_path / "whole"), ("info", files / "lite0-w8a8-shrunk.tflite")):
        code, said = run(*verb)
        assert code == 0, said
    code, said = run(
        "convert", "--from", files / "lite0-w8a8-shrunk.manifest.json", "--weights", tmp_path / "whole",
        "--out", tmp_path / "again",
    )  # fmt: skip
    assert code == 0 and "the same bytes as the manifest says" in said, said
