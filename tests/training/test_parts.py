"""The parts that tf_keras lacks, each against the arithmetic that it stands for."""

import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
import tf_keras
from PIL import Image

from edgenet.errors import GateFailed, InputError, MissingError
from edgenet.labelled.example import Example
from edgenet.layers import expand
from edgenet.preprocessing import Preprocessing
from edgenet.training.augment import Augmentation, augmented
from edgenet.training.autoaugment import PAIRS, TABLE, autoaugment
from edgenet.training.average import WeightAverage
from edgenet.training.callbacks import Watch
from edgenet.training.draws import Draws, SeededDropout
from edgenet.training.evaluate import float32_layers
from edgenet.training.interrupt import Interrupt
from edgenet.training.mixing import Mixing
from edgenet.training.network import class_weights, make_network
from edgenet.training.optimizer import DepthAdamW, depth_shares, make_optimizer, optimizer_variables
from edgenet.training.pipeline import TrainingData
from edgenet.training.plan import Stage
from edgenet.training.randaugment import OPERATIONS, randaugment
from edgenet.training.recipe import Recipe, ScheduleRecipe
from edgenet.training.state import EpochRecord
from edgenet.training.strategy import Rows, open_devices, precision_of
from edgenet.training.tensorboard import SCALARS, EpochLog
from edgenet.weights.record import Convention
from tests.networks import small_variant
from tests.training.pictures import COLOURS, colour_picture

LITE = Preprocessing(64, "crop_then_resize", 0.875, "bilinear", (127.0,) * 3, (128.0,) * 3)
FINE = Stage("fine-tuning", 0, 2, 64, 1.0, False)
FROZEN = Stage("warm-up", 0, 2, 64, 1.0, True)


def _draws(rows: int, step: int, seed: int = 3) -> Draws:
    return Draws(seed, 1, rows, tf.constant(step, tf.int64))


def test_draws_depend_on_seed_step_and_name_alone() -> None:
    def drawn(step: int, seed: int, name: str) -> bytes:
        draws = _draws(4, step, seed)
        draws.uniform("first", 2)
        return bytes(np.asarray(draws.uniform(name, 2)).tobytes())

    assert drawn(5, 3, "second") == drawn(5, 3, "second")
    assert len({drawn(5, 3, "second"), drawn(6, 3, "second"), drawn(5, 4, "second"), drawn(5, 3, "first")}) == 4


def test_dropout_drops_its_share_and_keeps_the_mean() -> None:
    layer = SeededDropout(0.25, (1, 1, 1), _draws(4000, 0), "branch")
    out = np.asarray(layer(tf.ones((4000, 2, 2, 1)), training=True))
    assert set(np.unique(out)) == {np.float32(0), np.float32(1 / 0.75)}
    assert (out == out[:, :1, :1, :1]).all()  # the whole branch of a sample
    assert out.mean() == pytest.approx(1, abs=0.05)
    np.testing.assert_array_equal(layer(tf.ones((3, 2, 2, 1)), training=False), np.ones((3, 2, 2, 1)))


@dataclass(frozen=True)
class Mix:
    name: str
    mixing: Mixing


@pytest.mark.parametrize(
    "mix", [Mix("mixup", Mixing(1.0, 0.0, 1.0)), Mix("cutmix", Mixing(0.0, 1.0, 1.0))], ids=lambda mix: mix.name
)
def test_mixing_mixes_targets_as_it_mixes_images(mix: Mix) -> None:
    # Rows 0, 2, ... are all 0, rows 1, 3, ... all 1: a mixed image's mean is the share of its partner.
    images = tf.tile(tf.reshape(tf.constant([0.0, 1.0] * 32), (64, 1, 1, 1)), (1, 16, 16, 3))
    targets = tf.one_hot([0, 1] * 32, 2)
    mixed, soft = mix.mixing(images, targets, _draws(64, 1))
    means = np.asarray(mixed).mean(axis=(1, 2, 3))
    np.testing.assert_allclose(np.asarray(soft)[:, 1], means, atol=1e-5)
    np.testing.assert_allclose(means[::2] + means[1::2], 1, atol=1e-5)  # a pair mixes both ways alike
    assert means[::2].std() > 0.1
    whole = np.isin(np.asarray(mixed), (0, 1)).all()
    assert whole == (mix.name == "cutmix")


def test_no_share_mixes_nothing() -> None:
    images, targets = tf.zeros((2, 4, 4, 3)), tf.one_hot([0, 1], 2)
    assert Mixing(1.0, 1.0, 0.0)(images, targets, _draws(2, 0)) == (images, targets)


def test_the_average_starts_fast_and_ends_at_its_decay() -> None:
    weight = tf.Variable([0.0])
    average = WeightAverage([weight], 0.9)
    weight.assign([1.0])
    expected = 0.0
    for step in (0, 1, 50, 1000):
        average.update(tf.constant(step))
        expected += (1 - min(0.9, (1 + step) / (10 + step))) * (1 - expected)
        assert float(average.shadows[0].numpy()[0]) == pytest.approx(expected, rel=1e-6)


def test_a_variables_share_scales_its_step_and_its_decay() -> None:
    variables = [tf.Variable([[1.0]]), tf.Variable([[1.0]]), tf.Variable([1.0])]
    optimizer = DepthAdamW(0.1, [1.0, 0.5, 0.5], weight_decay=0.2)
    optimizer.build(variables)
    optimizer.apply_gradients(
        [(tf.constant(value.shape.as_list() and np.full(value.shape, 3.0, np.float32)), value) for value in variables]
    )
    # Adam's first step is the rate itself; a matrix decays by rate x decay before it, a vector does not.
    expected = [1 - 0.1 * 0.2 - 0.1, 1 - 0.05 * 0.2 - 0.05, 1 - 0.05]
    assert [float(np.ravel(variable.numpy())[0]) for variable in variables] == pytest.approx(expected, abs=1e-5)


@pytest.fixture(scope="module")
def network() -> tf_keras.Model:
    return make_network(expand(small_variant("lite"), 3), Convention(), Recipe(), FINE, _draws(2, 0))


def test_rates_fall_with_depth(network: tf_keras.Model) -> None:
    architecture = expand(small_variant("lite"), 3)
    shares = depth_shares(network, architecture, 0.5)
    named = {variable.name: share for variable, share in zip(network.trainable_variables, shares, strict=True)}
    blocks = len(architecture.blocks)
    assert named["classifier/kernel:0"] == named["classifier/bias:0"] == 1
    assert named["conv_head/kernel:0"] == 0.5
    assert named[f"{architecture.blocks[0].layers[0].name}/depthwise_kernel:0"] == 0.5 ** (blocks + 1)
    assert named["conv_stem/kernel:0"] == named["bn1/gamma:0"] == 0.5 ** (blocks + 2)


def test_the_rate_rises_then_falls_as_a_cosine(network: tf_keras.Model) -> None:
    schedule = ScheduleRecipe(epochs=4, ramp_epochs=1, peak_rate=0.01, last_rate_share=0.1)
    optimizer = make_optimizer(network, expand(small_variant("lite"), 3), schedule, FINE, epoch_steps=10)
    rates = [float(optimizer._learning_rate(step)) for step in (0, 5, 10, 25, 40)]
    assert rates == pytest.approx([0, 0.005, 0.01, 0.0055, 0.001], rel=1e-4, abs=1e-8)


def test_a_frozen_backbone_trains_the_classifier_alone() -> None:
    frozen = make_network(expand(small_variant("lite"), 3), Convention(), Recipe(), FROZEN, _draws(2, 0))
    assert [variable.name for variable in frozen.trainable_variables] == ["classifier/kernel:0", "classifier/bias:0"]
    rates = {layer.name: layer.rate for layer in frozen.layers if isinstance(layer, SeededDropout)}
    assert rates.pop("dropout") == 0.2
    assert set(rates.values()) == {0.0}


@pytest.mark.parametrize("name", ["bfloat16", "float16"])
def test_layers_in_16_bits_train_float32_weights(name: str) -> None:
    tf_keras.mixed_precision.set_global_policy(f"mixed_{name}")
    draws = Draws(3, 1, 2)
    try:
        model = make_network(expand(small_variant("lite"), 3), Convention(), Recipe(), FINE, draws)
        with float32_layers():
            assert tf_keras.layers.Dense(1).compute_dtype == "float32"
        average = WeightAverage(model.weights, 0.9)
        model.prepare(LITE, [1.0] * 3, Mixing(1.0, 1.0, 1.0), draws, average)
        optimizer = DepthAdamW(0.01, [1.0] * len(model.trainable_variables), 0.0)
        model.compile(optimizer, tf_keras.losses.CategoricalCrossentropy(from_logits=True))
    finally:
        tf_keras.mixed_precision.set_global_policy("float32")
    assert model.get_layer("conv_head").compute_dtype == name
    before = model.get_layer("conv_stem").get_weights()[0]
    pixels = np.random.default_rng(0).integers(0, 256, (2, 64, 64, 3)).astype(np.uint8)
    after = before
    for _ in range(12):
        if (after != before).any():
            break  # the first step but for float16, which changes nothing until its loss scale is small enough
        logs = model.train_step((tf.constant(pixels), tf.constant([0, 2])))
        assert math.isfinite(float(logs["loss"]))
        after = model.get_layer("conv_stem").get_weights()[0]
    assert (after.dtype, model.output.dtype.name) == (np.float32, "float32")
    assert 0 < np.abs(after - before).max() <= 0.0101  # Adam's first step is the rate
    # A checkpoint without the loss scale would go on with other steps.
    state = [float(variable) for variable in optimizer_variables(model.optimizer)[len(optimizer.variables) :]]
    assert state == ([float(model.optimizer.loss_scale), 1.0] if name == "float16" else [])


def test_rare_classes_weigh_more() -> None:
    assert class_weights([30, 10], "balanced") == pytest.approx([40 / 60, 2.0])
    assert class_weights([30, 10], "none") == [1, 1]


@pytest.mark.parametrize("name", OPERATIONS)
def test_an_operation_keeps_size_and_mode(name: str) -> None:
    picture = colour_picture(COLOURS["red"], 1)
    changed = OPERATIONS[name](picture, 0.9)
    assert (changed.size, changed.mode) == (picture.size, "RGB")
    assert (np.asarray(changed) != np.asarray(picture)).any() == (name != "identity")


def test_magnitude_0_moves_and_turns_nothing() -> None:
    picture = colour_picture(COLOURS["red"], 1)
    for name in ("rotate", "shear_x", "shear_y", "move_x", "move_y", "posterize", "colour", "brightness"):
        np.testing.assert_array_equal(OPERATIONS[name](picture, 0.0), picture)
    assert randaugment(picture, 0, 10, np.random.default_rng(0)) is picture


def test_autoaugment_draws_each_of_its_pairs_with_their_chances() -> None:
    colours = np.random.default_rng(0).integers(40, 200, (32, 32, 3), dtype=np.uint8)
    picture = Image.fromarray(colours)
    views = [autoaugment(picture, np.random.default_rng(number)).tobytes() for number in range(200)]
    assert len(PAIRS) == 25
    assert len(set(views)) > 30  # by pair, chance and sign
    assert 10 < views.count(picture.tobytes()) < 60  # where no chance fell, or a level of 0
    assert views[7] == autoaugment(picture, np.random.default_rng(7)).tobytes()


@pytest.mark.parametrize(
    ("name", "level", "expected"),
    [
        ("invert", 0.4, [255, 155, 55]),
        ("solarize", 0.3, [0, 155, 55]),  # inverted from 77 on
        ("solarize", 1.0, [0, 100, 200]),
        ("solarize_add", 0.3, [33, 133, 200]),  # 33 brighter below 128
        ("solarize_add", 0.7, [77, 177, 200]),
        ("posterize", 1.0, [0, 96, 192]),  # 4 bits are left
    ],
)
def test_autoaugments_operations_on_greys(name: str, level: float, expected: list[int]) -> None:
    greys = Image.fromarray(np.array([[0, 100, 200]], np.uint8)[..., None].repeat(3, 2))
    np.testing.assert_array_equal(np.asarray(TABLE[name](greys, level))[0, :, 0], expected)


def test_autoaugments_colour_goes_from_grey_to_vivid() -> None:
    red = Image.new("RGB", (1, 1), (200, 50, 50))
    spans = [np.ptp(np.asarray(TABLE["colour"](red, level / 10))) for level in range(10)]
    assert spans == sorted(spans)
    assert spans[0] <= 15 < 150 <= spans[-1]


def test_a_view_is_a_part_of_the_photo_and_repeats_by_its_seed() -> None:
    ramp = Image.fromarray(np.repeat(np.arange(0, 200, dtype=np.uint8)[None, :, None], 100, 0).repeat(3, 2))
    settings = Augmentation(32, "bilinear", 0.3, True, "randaugment", 0, 0)
    views = [augmented(ramp, settings, np.random.default_rng(number)) for number in range(20)]
    widths = [int(view.max()) - int(view.min()) for view in views]
    assert all(view.shape == (32, 32, 3) for view in views)
    assert 40 < min(widths) < max(widths) <= 200
    assert {view[0, 0, 0] < view[0, -1, 0] for view in views} == {True, False}  # flipped and not
    np.testing.assert_array_equal(views[4], augmented(ramp, settings, np.random.default_rng(4)))


@pytest.fixture
def examples(tmp_path: Path) -> list[Example]:
    paths = [tmp_path / f"{number}.png" for number in range(10)]
    for number, path in enumerate(paths):
        colour_picture(COLOURS["red"], number).save(path)
    return [Example(path.name, number, path) for number, path in enumerate(paths)]


def test_batches_can_begin_at_any_step_and_be_cut_into_rows(examples: list[Example]) -> None:
    data, settings = TrainingData(examples, 5, 4), Augmentation(32, "bilinear", 0.5, True, "randaugment", 1, 5)
    assert data.steps == 2
    whole = list(data.batches(0, 6, Rows(0, 4, 4), settings).as_numpy_iterator())
    assert len(whole) == 6
    for epoch in range(3):
        assert len({int(label) for _, labels in whole[2 * epoch : 2 * epoch + 2] for label in labels}) == 8
    assert any((one[1] != other[1]).any() for one, other in zip(whole[:2], whole[2:4], strict=True))
    later = list(data.batches(3, 6, Rows(0, 4, 4), settings).as_numpy_iterator())
    halves = [list(data.batches(3, 6, Rows(first, 2, 2), settings).as_numpy_iterator()) for first in (0, 2)]
    for index, (pixels, labels) in enumerate(whole[3:]):
        np.testing.assert_array_equal(later[index][0], pixels)
        np.testing.assert_array_equal(np.concatenate([half[index][0] for half in halves]), pixels)
        np.testing.assert_array_equal(np.concatenate([half[index][1] for half in halves]), labels)


def test_an_image_that_vanishes_is_named(examples: list[Example]) -> None:
    data, settings = TrainingData(examples, 5, 2), Augmentation(32, "bilinear", 0.5, True, "randaugment", 0, 0)
    for example in examples:
        example.path.unlink()
    with pytest.raises(tf.errors.OpError):
        list(data.batches(0, 1, Rows(0, 2, 2), settings))
    assert data.failure is not None
    assert "can no longer be read: No such file or directory; bring it back" in str(data.failure)


def test_a_loss_of_nan_says_when() -> None:
    watch = Watch(Interrupt(), lambda step, done, total: None, 10, 5, 0, [])
    watch.on_epoch_begin(3)
    watch.on_train_batch_end(0, {"loss": 0.5})
    with pytest.raises(
        GateFailed, match=r"the loss is nan at step 2 of 10 in epoch 4; the checkpoint of epoch 3 is kept"
    ):
        watch.on_train_batch_end(1, {"loss": math.nan})


def test_the_log_holds_a_point_of_every_curve_and_epoch(tmp_path: Path) -> None:
    log = EpochLog(tmp_path)
    rows = [
        EpochRecord(
            epoch=n,
            stage="s",
            side_px=32,
            learning_rate=0.1,
            loss=2.0 / n,
            accuracy=0.5,
            val_loss=1.0,
            val_accuracy=0.25,
            duration_s=3.0,
        )
        for n in (1, 2)
    ]
    for row in rows:
        log.write(row)
    [path] = (tmp_path / "tensorboard").iterdir()
    points = {}
    for record in tf.data.TFRecordDataset(str(path)):
        event = tf.compat.v1.Event.FromString(record.numpy())
        for value in event.summary.value:
            assert value.metadata.plugin_data.plugin_name == "scalars"
            points[value.tag, event.step] = float(tf.make_ndarray(value.tensor))
    assert set(points) == {(f"epoch_{name}", step) for name in SCALARS for step in (1, 2)}
    assert points["epoch_loss", 2] == 1


@dataclass(frozen=True)
class WrongDevices:
    name: str
    batch_size: int
    tf_config: str
    says: str


WRONG_DEVICES = (
    WrongDevices("cloud", 32, "", "unknown strategy 'cloud'; allowed: single, mirrored, multiworker, tpu"),
    WrongDevices("multiworker", 32, "", "TF_CONFIG is ''; allowed: {\"cluster\""),
    WrongDevices("multiworker", 32, "{", "TF_CONFIG is '{'"),
    WrongDevices(
        "multiworker", 32, '{"cluster": {"worker": ["a:1"]}, "task": {"type": "worker", "index": 1}}', "TF_CONF"
    ),
    WrongDevices("multiworker", 32, '{"cluster": {"ps": ["a:1"], "worker": []}, "task": {}}', "TF_CONFIG is"),
)


def test_without_a_tpu_its_strategy_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TPU_NAME", raising=False)
    with pytest.raises(MissingError, match="no TPU was found"):
        open_devices("tpu", 32)


@pytest.mark.parametrize(
    ("capabilities", "expected"),
    [
        ([], "float32"),
        ([(6, 1)], "float32"),
        ([(7, 0)], "mixed_float16"),
        ([(7, 5), (8, 0)], "mixed_float16"),
        ([(8, 0)], "mixed_bfloat16"),
        ([(9, 0), (6, 1)], "float32"),
    ],
    ids=str,
)
def test_the_weakest_gpu_chooses_the_arithmetic(capabilities: list[tuple[int, int]], expected: str) -> None:
    assert precision_of(capabilities) == expected


@pytest.mark.parametrize("wrong", WRONG_DEVICES, ids=lambda wrong: f"{wrong.name} {wrong.tf_config}")
def test_wrong_devices_are_refused(wrong: WrongDevices, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TF_CONFIG", wrong.tf_config)
    with pytest.raises(InputError) as caught:
        open_devices(wrong.name, wrong.batch_size)
    assert wrong.says in str(caught.value)
