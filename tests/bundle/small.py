"""A small network with random weights, and bundles of it in less than a second."""

from dataclasses import replace
from pathlib import Path

from converters.calibration_source import open_calibration
from converters.convert import float_network
from converters.job import Job
from converters.probe import golden_images
from converters.write import write_formats
from edgenet.artifact import Artifact
from edgenet.bundle.content import Content, Wishes, content_of
from edgenet.bundle.make import Bundle, make_bundle, variables_of
from edgenet.bundle.platforms import PLATFORMS
from edgenet.bundle.render import render_folder
from edgenet.manifest import CompilerTarget
from edgenet.precision import IoType, Precision
from edgenet.preprocessing import CropRule, Interpolation
from tests.networks import pictures, small_weights
from tests.test_artifact import write_small

LABELS = tuple(f"class {letter}" for letter in "abcdefghij")
RULES: tuple[CropRule, ...] = ("crop_then_resize", "resize_then_crop", "squash")
FILTERS: tuple[Interpolation, ...] = ("bicubic", "bilinear")


def small_artifact(folder: Path, precision: Precision = "w8a8") -> Artifact:
    """Write a file with its manifest."""
    [artifact] = write_small(folder, [precision])
    return artifact


def artifact_with_ends(folder: Path, io: IoType, target: CompilerTarget | None = None) -> Artifact:
    """Write a w8a8 file with ends of a type; for `edgetpu` its dense op is a convolution, which old runtimes know."""
    weights = small_weights("lite")
    images = open_calibration("builtin", weights.preprocessing, 16)
    golden = golden_images(weights.preprocessing)
    job = Job((("w8a8", io),), folder, images, None, golden, target=target)
    return write_formats(float_network(weights, pictures(1)), job)[0]


def small_wishes(folder: Path, **more: object) -> Wishes:
    """Return what has to be said to bundle that file."""
    labels = folder / "labels.txt"
    labels.write_text("".join(f"{label}\n" for label in LABELS), encoding="utf-8")
    return replace(Wishes(labels=str(labels), allow_random=True), **more)  # type: ignore[arg-type]  # fields of Wishes by name


def small_bundle(folder: Path, platform: str, precision: Precision = "w8a8", **more: object) -> Bundle:
    """Write a bundle."""
    return make_bundle(small_artifact(folder, precision), platform, folder / "app", small_wishes(folder, **more))


def small_content(folder: Path) -> Content:
    """Return what a bundle is made from."""
    return content_of(small_artifact(folder), "small", small_wishes(folder))


def rendered(content: Content, platform: str, rule: CropRule, interpolation: Interpolation) -> dict[str, bytes]:
    """Return a platform's sources as they are for another preprocessing."""
    photos = content.photos.model_copy(update={"crop_rule": rule, "interpolation": interpolation})
    changed = replace(content, photos=photos)
    row = PLATFORMS[platform]
    return render_folder(row.templates, {**variables_of(changed), **row.variables(changed)})
