"""ImageNet weights from timm's repositories on the Hugging Face hub: one row a variant.

Repositories, tags and preprocessing after timm `models/efficientnet.py` (`default_cfgs`), accuracies after timm
`results/results-imagenet.csv`. The hub's commit hashes are not published in any document, so none stands here: the
branch `main` is followed on the first use only. Then the commit, the SHA-256 and the size are recorded in edgenet's
cache, every later use must match that record, and a new download asks for that very commit.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from edgenet.errors import InputError, MissingError
from edgenet.preprocessing import CropRule, Interpolation
from edgenet.variants import Variant
from edgenet.weights.cache import Pin, file_digest, read_pin, write_pin
from edgenet.weights.preprocessing_rules import HALF, IMAGENET, Normalization, Rule

Say = Callable[[str], None]

REVISION = "main"
FILE = "model.safetensors"
TIMEOUT_S = 5.0


@dataclass(frozen=True)
class HubRow:
    """One checkpoint; `top1` is in percent, `measured_side_px` the side at which timm measured it."""

    repository: str
    top1: float
    measured_side_px: int
    crop_fraction: float
    normalization: Normalization
    interpolation: Interpolation = "bicubic"
    crop_rule: CropRule = "resize_then_crop"

    @property
    def rule(self) -> Rule:
        """Return the preprocessing that timm measures with."""
        return Rule(self.crop_rule, self.crop_fraction, self.interpolation, self.normalization)


# lite3 and lite4 are the same Google weights as at 280 and 300 pixels, their variants' sides: timm enlarges them to 300
# and 380. Here they run at the variant's side, with timm's crop fraction for that side, size / (size + 32).
HUB: dict[str, HubRow] = {
    "b0": HubRow("timm/tf_efficientnet_b0.aa_in1k", 76.882, 224, 0.875, IMAGENET),
    "b1": HubRow("timm/tf_efficientnet_b1.aa_in1k", 78.840, 240, 0.882, IMAGENET),
    "b2": HubRow("timm/tf_efficientnet_b2.aa_in1k", 80.074, 260, 0.890, IMAGENET),
    "b3": HubRow("timm/tf_efficientnet_b3.aa_in1k", 81.648, 300, 0.904, IMAGENET),
    "b4": HubRow("timm/tf_efficientnet_b4.aa_in1k", 83.040, 380, 0.922, IMAGENET),
    "b5": HubRow("timm/tf_efficientnet_b5.ra_in1k", 83.834, 456, 0.934, IMAGENET),
    "b6": HubRow("timm/tf_efficientnet_b6.aa_in1k", 84.124, 528, 0.942, IMAGENET),
    "b7": HubRow("timm/tf_efficientnet_b7.ra_in1k", 84.926, 600, 0.949, IMAGENET),
    "lite0": HubRow("timm/tf_efficientnet_lite0.in1k", 74.846, 224, 0.875, HALF),
    "lite1": HubRow("timm/tf_efficientnet_lite1.in1k", 76.674, 240, 0.882, HALF),
    "lite2": HubRow("timm/tf_efficientnet_lite2.in1k", 77.470, 260, 0.890, HALF),
    "lite3": HubRow("timm/tf_efficientnet_lite3.in1k", 79.808, 300, 0.897, HALF, "bilinear"),
    "lite4": HubRow("timm/tf_efficientnet_lite4.in1k", 81.540, 380, 0.904, HALF, "bilinear"),
    "edgetpu-s": HubRow("timm/tf_efficientnet_es.in1k", 76.608, 224, 0.875, HALF),
    "edgetpu-m": HubRow("timm/tf_efficientnet_em.in1k", 78.128, 240, 0.882, HALF),
    "edgetpu-l": HubRow("timm/tf_efficientnet_el.in1k", 80.246, 300, 0.904, HALF),
    "v2-b0": HubRow("timm/tf_efficientnetv2_b0.in1k", 78.386, 224, 0.875, IMAGENET),
    "v2-b1": HubRow("timm/tf_efficientnetv2_b1.in1k", 79.518, 240, 0.882, IMAGENET),
    "v2-b2": HubRow("timm/tf_efficientnetv2_b2.in1k", 80.226, 260, 0.890, IMAGENET),
    "v2-b3": HubRow("timm/tf_efficientnetv2_b3.in1k", 81.960, 300, 0.904, IMAGENET),
    "v2-s": HubRow("timm/tf_efficientnetv2_s.in1k", 83.900, 384, 1.0, HALF),
    "v2-m": HubRow("timm/tf_efficientnetv2_m.in1k", 85.208, 480, 1.0, HALF, "bicubic", "squash"),
    "v2-l": HubRow("timm/tf_efficientnetv2_l.in1k", 85.660, 480, 1.0, HALF, "bicubic", "squash"),
    "v2-xl": HubRow("timm/tf_efficientnetv2_xl.in21k_ft_in1k", 86.754, 512, 1.0, HALF, "bicubic", "squash"),
}


@dataclass(frozen=True)
class HubFile:
    """A verified file in the hub's cache."""

    path: Path
    row: HubRow
    pin: Pin

    @property
    def origin(self) -> str:
        """Return repository, commit and file in one line."""
        return f"{self.row.repository}@{self.pin.commit}/{FILE}"


def cached_hub_file(variant: Variant) -> HubFile | None:
    """Return the variant's file where the hub's cache has it, None where not; raise InputError where it was altered."""
    from huggingface_hub import try_to_load_from_cache

    row = HUB.get(variant.trained_as)
    if row is None:
        return None
    pin = read_pin(row.repository)
    path = try_to_load_from_cache(row.repository, FILE, revision=pin.commit if pin else REVISION)
    return _verified(Path(path), row, pin, "") if isinstance(path, str) else None


def download_hub_file(variant: Variant, say: Say) -> HubFile:
    """Download the variant's file into the hub's cache (HF_HOME) and pin it; progress goes to stderr.

    Raises MissingError where there is no such file, no network or HF_HUB_OFFLINE, after one try of a few seconds.
    """
    from huggingface_hub import get_hf_file_metadata, hf_hub_download, hf_hub_url

    row = HUB.get(variant.trained_as)
    if row is None:
        raise MissingError(f"no ImageNet weights of {variant.name} are published", allowed=", ".join(HUB))
    pin = read_pin(row.repository)
    revision = pin.commit if pin else REVISION
    try:
        # One short request first: the download itself would retry a dead network for half a minute.
        url = hf_hub_url(row.repository, FILE, revision=revision)
        remote = get_hf_file_metadata(url, timeout=TIMEOUT_S)
        say(f"downloading {row.repository} ({(remote.size or 0) / 1e6:.0f} MB)")
        path = hf_hub_download(row.repository, FILE, revision=revision, etag_timeout=TIMEOUT_S)
    except _network_errors() as error:
        raise MissingError(f"cannot download {row.repository}: {_reason(error)}") from error
    return _verified(Path(path), row, pin, remote.etag or "")


def is_offline() -> bool:
    """Tell whether HF_HUB_OFFLINE forbids downloads."""
    from huggingface_hub.constants import HF_HUB_OFFLINE

    return HF_HUB_OFFLINE


def _network_errors() -> tuple[type[BaseException], ...]:
    """Return what a failing download raises: errors of the hub client's HTTP library are no OSError."""
    from huggingface_hub import errors

    # The library changed (requests, httpx, httpx2); its base class is the parent of the hub's own error in each.
    http_error = errors.HfHubHTTPError.__mro__[1]
    return (http_error, OSError, RuntimeError, getattr(errors, "XetDownloadError", http_error))


def _reason(error: BaseException) -> str:
    first_line = (str(error) or type(error).__name__).strip().splitlines()[0]
    return first_line[:200]


def _verified(path: Path, row: HubRow, pin: Pin | None, etag: str) -> HubFile:
    """Check a file against its pin and the hub's own checksum; pin it on the first use."""
    sha256, size_bytes = file_digest(path), path.stat().st_size
    # The hub's etag of a large file is its SHA-256; small ones carry another hash.
    wanted = pin.sha256 if pin else etag if len(etag) == 64 else sha256
    if sha256 != wanted:
        raise InputError(
            f"{path} is not what it was: sha256 {sha256}",
            allowed=wanted,
            mend=f"delete it; if {row.repository} was published anew, delete its record in edgenet's cache too",
        )
    if pin is None:
        pin = Pin(row.repository, path.parent.name, sha256, size_bytes)
        write_pin(pin)
    return HubFile(path, row, pin)
