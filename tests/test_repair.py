"""A repair for real, on small networks: its record, its recipe, its files, an interrupt, and the command line."""

from dataclasses import replace
from functools import cache
from pathlib import Path

import pytest

from converters import flatbuffer
from converters.calibration_source import open_calibration
from converters.convert import float_network
from converters.job import FloatNetwork, Job, Probe
from converters.quantized_layers import layers
from converters.repair.gate import Gate
from converters.repair.islands import high_precision_share
from converters.repair.layer_prices import layer_prices
from converters.repair.recipe import LayerRule, Recipe, recipe_of_text
from converters.verification import verify
from converters.write import write_formats
from edgenet.__main__ import main
from edgenet.artifact import Artifact, find_artifacts
from edgenet.cli.repair_options import with_repair_target
from edgenet.cli.repaired import check_repair
from edgenet.errors import GateFailed, InputError
from edgenet.manifest import OnnxRecord
from edgenet.progress import silent
from tests.networks import IMAGENET_MEAN, IMAGENET_STD, pictures, small_weights

OUT_OF_REACH = Gate(min_agree=1.0, max_latency_cost=100.0)


@cache
def _network(family: str) -> FloatNetwork:
    weights = small_weights(family, IMAGENET_MEAN, IMAGENET_STD) if family == "b" else small_weights(family)
    return float_network(weights, pictures(1))


def _job(out: Path, family: str = "b", **more: object) -> Job:
    calibration = open_calibration("builtin", _network(family).preprocessing, 16)
    probe = Probe(pictures(24, seed=99), "24 pictures")
    return replace(Job((("w8a8", "uint8"),), out, calibration, probe, pictures(2)), **more)  # type: ignore[arg-type]


@pytest.fixture(scope="module", params=["b", "lite"])
def repaired(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Artifact]:
    """Return a family and its file after the whole ladder."""
    [artifact] = write_formats(
        _network(request.param), _job(tmp_path_factory.mktemp("repaired"), request.param, repair=OUT_OF_REACH)
    )
    return request.param, artifact


def test_the_record_tells_the_climb_and_the_recipe_repeats_the_file(
    repaired: tuple[str, Artifact], tmp_path: Path
) -> None:
    family, artifact = repaired
    record = artifact.manifest.repair
    assert record is not None
    rungs = list(dict.fromkeys(step.rung for step in record.steps))
    assert rungs[:3] == ["min-max", "ranges", "bias correction"]
    kept = [step for step in record.steps if step.kept]
    assert artifact.manifest.recipe == kept[-1].recipe
    decibels = [step.sqnr_db for step in kept if step.agreement < 1]
    assert decibels == sorted(decibels, key=lambda value: value or 0.0)
    recipe = recipe_of_text(kept[-1].recipe)
    [again] = write_formats(_network(family), _job(tmp_path / "again", family, recipe=recipe))
    assert again.path.read_bytes() == artifact.path.read_bytes()
    assert again.manifest.recipe == artifact.manifest.recipe
    assert again.manifest.repair is None


def test_a_repair_is_no_worse_than_none(repaired: tuple[str, Artifact], tmp_path: Path) -> None:
    family, artifact = repaired
    [plain] = write_formats(_network(family), _job(tmp_path / "plain", family))
    assert artifact.manifest.repair is not None
    assert plain.manifest.recipe is not None
    assert plain.manifest.verification is not None
    assert artifact.manifest.verification is not None
    assert (artifact.manifest.verification.sqnr_db or 0) >= (plain.manifest.verification.sqnr_db or 0)
    assert artifact.manifest.repair.passed is (artifact.manifest.verification.agreement == 1)


def test_a_plain_file_has_a_recipe_that_repeats_it(tmp_path: Path) -> None:
    [plain] = write_formats(_network("b"), _job(tmp_path / "plain"))
    assert plain.manifest.recipe is not None
    recipe = recipe_of_text(plain.manifest.recipe)
    [again] = write_formats(_network("b"), _job(tmp_path / "again", recipe=recipe))
    assert again.path.read_bytes() == plain.path.read_bytes()


@pytest.mark.parametrize(
    ("agreement", "weight_bits", "mend"),
    [(0.8, 7, "--onnx-cpu x86-vnni"), (0.8, 8, "more photos"), (0.9, 7, "")],
    ids=["7 bits lose it", "another runtime loses it", "kept"],
)
def test_an_onnx_file_is_held_to_the_gate_by_itself(
    repaired: tuple[str, Artifact], agreement: float, weight_bits: int, mend: str
) -> None:
    manifest = repaired[1].manifest
    assert manifest.repair is not None
    assert manifest.verification is not None
    onnx = OnnxRecord.model_validate({
        "opset": 17, "ir_version": 8, "activations": "uint8", "weight_bits": weight_bits, "cpu": None, "ort": None,
    })  # fmt: skip
    other = manifest.model_copy(update={
        "onnx": onnx,
        "repair": manifest.repair.model_copy(update={"passed": True, "min_agree": 0.9}),
        "verification": manifest.verification.model_copy(update={"agreement": agreement}),
    })  # fmt: skip
    if not mend:
        check_repair(other)
        return
    with pytest.raises(GateFailed, match=f"agrees with float on 0.8000 of 24 images.*{mend}"):
        check_repair(other)


def test_a_recipe_by_hand_mixes_precisions(tmp_path: Path) -> None:
    rules = (LayerRule("conv_stem", "fp32"), LayerRule("blocks.0.*", "fp32"))
    [mixed] = write_formats(_network("b"), _job(tmp_path / "mixed", recipe=Recipe("minmax", rules=rules)))
    [plain] = write_formats(_network("b"), _job(tmp_path / "plain", recipe=Recipe("minmax")))
    assert mixed.manifest.size_bytes > plain.manifest.size_bytes
    prices = layer_prices(flatbuffer.read(_network("b").integer_content))
    wide = [name for name in prices.macs if name == "conv_stem" or name.startswith("blocks.0.")]
    share = high_precision_share(flatbuffer.read(mixed.path.read_bytes()))
    assert share == pytest.approx(prices.share(wide))
    assert share > 0
    assert high_precision_share(flatbuffer.read(plain.path.read_bytes())) == 0
    with pytest.raises(InputError, match=r"'blocks\.9"):
        write_formats(_network("b"), _job(tmp_path, recipe=Recipe("minmax", rules=(LayerRule("blocks.9.*", "fp32"),))))


def test_a_recipe_by_hand_rounds_layers_in_their_own_way(tmp_path: Path) -> None:
    rules = (LayerRule("*", rounding="nearest", op="DEPTHWISE_CONV_2D"), LayerRule("blocks.2.*", rounding="learned"))
    steps = {}
    for name, recipe in {"plain": Recipe("minmax"), "ruled": Recipe("minmax", rules=rules)}.items():
        [artifact] = write_formats(_network("b"), _job(tmp_path / name, recipe=recipe))
        model = flatbuffer.read(artifact.path.read_bytes())
        original = flatbuffer.read(_network("b").integer_content)
        steps[name] = {layer.output_name: layer.weight_steps.tobytes() for layer in layers(model, original)}
    changed = {name for name, values in steps["plain"].items() if values != steps["ruled"][name]}
    ruled = {name for name in steps["plain"] if name.endswith("conv_dw") or name.startswith("blocks.2.")}
    assert changed <= ruled
    assert any(name.startswith("blocks.2.") for name in changed)
    assert any(name.endswith("conv_dw") and not name.startswith("blocks.2.") for name in changed)


def test_an_interrupt_leaves_the_best_file_marked(tmp_path: Path) -> None:
    told: list[str] = []

    def stop_while_learning(step: str, done: int, total: int) -> None:
        del done, total
        if step == "learning weights":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_formats(_network("b"), _job(tmp_path, repair=OUT_OF_REACH), stop_while_learning, told.append)
    [artifact] = find_artifacts(tmp_path)
    assert artifact.manifest.repair is not None
    assert artifact.manifest.repair.interrupted
    assert artifact.path.name in told[-1]
    assert verify(tmp_path, None, None, _float_file(tmp_path / "float"), "", silent, told.append).rows[0].golden.passed


def _float_file(out: Path, family: str = "b") -> Path:
    [artifact] = write_formats(_network(family), _job(out, family, formats=(("fp32", "float32"),)))
    return artifact.path


def test_the_command_line_shows_the_climb(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = _float_file(tmp_path / "float")
    words = ["quantize", str(file), "--int8", "--samples", "16", "--out", str(tmp_path / "out")]
    assert main([*words, "--repair", "--min-agree", "0.1"]) == 0
    shown = capsys.readouterr()
    assert "repaired for cpu" in shown.out
    assert "bias correction" in shown.out
    assert 'rounding = "' in shown.out
    assert main(["verify", str(tmp_path / "out"), "--reference", str(file)]) == 0
    recipe = tmp_path / "mine.toml"
    recipe.write_text(Recipe("minmax", rounding="nearest", rules=(LayerRule("conv_stem", "w8"),)).toml)
    assert main([*words, "--recipe", str(recipe)]) == 0
    assert 'precision = "w8"' in capsys.readouterr().out


def test_a_gate_that_is_missed_keeps_the_file_and_exits_with_1(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = _float_file(tmp_path / "float")
    words = ["quantize", str(file), "--int8", "--samples", "16", "--out", str(tmp_path), "--repair", "edgetpu"]
    code = main([*words, "--min-agree", "1"])
    [artifact] = [row for row in find_artifacts(tmp_path) if row.manifest.precision == "w8a8"]
    assert artifact.manifest.repair is not None
    assert all(step.full_integer for step in artifact.manifest.repair.steps)
    assert code == (0 if artifact.manifest.repair.passed else 1)
    assert ("is the best of" in capsys.readouterr().err) is (code == 1)


@pytest.mark.parametrize(
    ("flags", "named"),
    [
        (["--fp16", "--repair"], "--repair"),
        (["--int8", "--repair", "--no-verify"], "--no-verify"),
        (["--int8", "--min-agree", "0.9"], "--min-agree"),
        (["--int8", "--max-latency-cost", "1.2"], "--max-latency-cost"),
        (["--int8", "--repair", "--min-agree", "2"], "--min-agree"),
        (["--int8", "--repair=gpu"], "'gpu'"),
        (["--int8", "--recipe", "nowhere.toml"], "nowhere.toml"),
        (["--int8", "--repair", "--recipe", "nowhere.toml"], "drop one"),
        (["--fp16", "--recipe", "nowhere.toml"], "--recipe"),
    ],
)
def test_flags_that_do_not_go_together_are_refused(
    flags: list[str], named: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["convert", "--variant", "lite0", *flags]) == 2
    assert named in capsys.readouterr().err


@pytest.mark.parametrize(
    ("given", "understood"),
    [
        ("convert --repair", "convert --repair=cpu"),
        ("convert --repair npu", "convert --repair npu"),
        ("convert --repair --int8", "convert --repair=cpu --int8"),
        ("quantize --repair file.tflite", "quantize --repair=cpu file.tflite"),
        ("convert --repair=edgetpu", "convert --repair=edgetpu"),
        ("convert --int8", "convert --int8"),
    ],
)
def test_repair_needs_no_target(given: str, understood: str) -> None:
    assert with_repair_target(given.split()) == understood.split()
