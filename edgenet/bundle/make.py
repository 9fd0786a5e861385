"""Make a bundle: the files that every platform shares, those of its templates, and bundle.json about all of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edgenet import __version__
from edgenet.artifact import Artifact, sha256
from edgenet.bundle.content import LABELS_NAME, MODEL_NAME, Content, Wishes, content_of
from edgenet.bundle.folder import check_place, write_folder
from edgenet.bundle.golden import GOLDEN_NAME
from edgenet.bundle.platform import Platform
from edgenet.bundle.platforms import parse_platform
from edgenet.bundle.record import BUNDLE_NAME, BundleRecord, FileRecord, SourceRecord, document
from edgenet.bundle.render import render_folder
from edgenet.errors import InputError
from edgenet.identity import manifest_identity
from edgenet.preprocessing import Preprocessing
from edgenet.progress import Report, silent

PHOTOS_NAME = "preprocessing.json"


@dataclass(frozen=True)
class Bundle:
    """A bundle on disk."""

    path: Path
    record: BundleRecord
    next_step: str


def make_bundle(
    artifact: Artifact, platform_name: str, out: Path, wishes: Wishes, force: bool = False, report: Report = silent
) -> Bundle:
    """Write the bundle of an artifact for a platform; the same artifact and wishes give the same bytes.

    Raise InputError for what cannot be bundled, a name that the platform's language does not take, or a folder that
    exists; MissingError for a tool or runtime that is not here.
    """
    platform = parse_platform(platform_name, wishes.api)
    if wishes.package and not platform.takes_package:
        raise InputError(f"--package says nothing to {platform_name}", allowed="--platform android")
    if wishes.core_ml and not platform.takes_core_ml:
        raise InputError(f"--core-ml says nothing to {platform_name}", allowed="--platform ios")
    check_place(out, force)
    given = wishes.name or platform.default_name(artifact.manifest.variant)
    content = content_of(artifact, platform.check_name(given), wishes, report)
    if content.input.type not in platform.inputs:
        what = platform.api or platform_name
        raise InputError(
            f"{artifact.manifest.file} has {content.input.type} ends, which {what} cannot feed",
            allowed=", ".join(platform.inputs),
            mend="convert with --io uint8",
        )
    files = _files(platform, content)
    record = _record(platform_name, platform, content, files)
    write_folder(out, {**files, BUNDLE_NAME: document(record)}, force)
    return Bundle(out, record, platform.next_step.format(out=out, name=content.name))


def _files(platform: Platform, content: Content) -> dict[str, bytes]:
    assets, golden = _folders(platform, content)
    files = {
        f"{assets}{MODEL_NAME}": content.model,
        f"{assets}{LABELS_NAME}": "".join(f"{label}\n" for label in content.labels).encode(),
        f"{assets}{PHOTOS_NAME}": document(content.photos),
        f"{golden}{GOLDEN_NAME}": document(content.golden.document),
        **{f"{golden}{name}": picture for name, picture in content.golden.pictures.items()},
    }
    variables = {**variables_of(content), **platform.variables(content)}
    files |= render_folder(platform.templates, variables)
    if platform.api_templates:
        files |= render_folder(platform.api_templates, variables)
    files |= platform.more(content, files)
    return dict(sorted(files.items()))


def _folders(platform: Platform, content: Content) -> tuple[str, str]:
    return platform.assets.format(name=content.name), platform.golden.format(name=content.name)


def variables_of(content: Content) -> dict[str, Any]:
    """Return what templates may speak of; labels and other free text are read from the assets instead."""
    manifest, record = content.manifest, content.photos.to_preprocessing()
    return {
        "name": content.name,
        "variant": manifest.variant,
        "precision": manifest.precision,
        "record": content.photos,
        "short_px": int(record.side_px / record.crop_fraction),
        "padded_px": padded_side(record),
        "support": {"bicubic": 2, "bilinear": 1}[record.interpolation],
        "input": content.input,
        "output": content.output,
        "num_classes": len(content.labels),
        "golden": content.golden.document,
        "warnings": content.warnings,
        "model_sha256": sha256(content.model),
        "version": __version__,
    }


def padded_side(record: Preprocessing) -> int:
    """Return the side that `crop_then_resize` takes its share of: the network's, and the padding around it."""
    return record.side_px + round(record.side_px / record.crop_fraction) - record.side_px


def _record(name: str, platform: Platform, content: Content, files: Mapping[str, bytes]) -> BundleRecord:
    assets, golden = _folders(platform, content)
    manifest = content.manifest
    return BundleRecord(
        platform=name,
        api=platform.api,
        name=content.name,
        edgenet_version=__version__,
        warnings=content.warnings,
        source=SourceRecord(
            file=manifest.file,
            sha256=manifest.sha256,
            identity=manifest_identity(manifest),
            variant=manifest.variant,
            precision=manifest.precision,
            weights_source=manifest.weights.source,
            weights_sha256=manifest.weights.sha256,
            agreement=manifest.verification.agreement if manifest.verification else None,
        ),
        model=f"{assets}{MODEL_NAME}",
        labels=f"{assets}{LABELS_NAME}",
        golden=f"{golden}{GOLDEN_NAME}",
        num_classes=len(content.labels),
        input=content.input,
        output=content.output,
        photos=content.photos,
        files=tuple(FileRecord(file=path, sha256=sha256(file), size_bytes=len(file)) for path, file in files.items()),
    )
