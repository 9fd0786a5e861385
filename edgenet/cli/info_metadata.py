"""What `edgenet info FILE` shows of a file's TFLite metadata."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

from converters.metadata import TensorMetadata
from converters.metadata_read import FoundMetadata
from edgenet.cli.console import show
from edgenet.identity import manifest_identity
from edgenet.manifest import Manifest

SHOWN_LABELS = 3
LONGEST_TEXT = 500


def metadata_document(found: FoundMetadata | None) -> dict[str, Any] | None:
    """Return metadata for JSON: everything but the files' contents, of which labels are given as a list."""
    if found is None:
        return None
    sizes = {name: len(content) for name, content in found.files.items()}
    return {
        **asdict(found.metadata),
        "files_size_bytes": sizes,
        "labels": list(found.labels()),
        "manifest_identity": found.identity or None,
    }


def show_metadata(found: FoundMetadata | None, manifest: Manifest | None) -> None:
    """Show metadata in a few lines."""
    if found is None:
        show("metadata: none: phone libraries are not told how to feed it, nor what its classes are called")
        return
    metadata = found.metadata
    about = [metadata.name, metadata.author and f"by {metadata.author}", metadata.license]
    show(f"metadata: {', '.join(part for part in about if part) or 'no name'}{_belonging(found, manifest)}")
    if metadata.description:
        show(f"  {metadata.description[:LONGEST_TEXT]}")
    for word, tensors in (("input", metadata.inputs), ("output", metadata.outputs)):
        for tensor in tensors:
            if parts := list(_parts(tensor)):
                show(f"  {word} {tensor.name}: {'; '.join(parts)}")
    labels = found.labels()
    if labels:
        more = ", ..." if len(labels) > SHOWN_LABELS else ""
        show(f"  {len(labels)} labels: {', '.join(label[:40] for label in labels[:SHOWN_LABELS])}{more}")


def _belonging(found: FoundMetadata, manifest: Manifest | None) -> str:
    """Say whether the file names the manifest that lies beside it."""
    if manifest is None or not found.identity:
        return ""
    same = found.identity == manifest_identity(manifest)
    return ", of the manifest beside it" if same else "; IT NAMES ANOTHER MANIFEST than the one beside it"


def _parts(tensor: TensorMetadata) -> Iterator[str]:
    if tensor.size_px:
        yield f"image of {tensor.size_px[0]} x {tensor.size_px[1]}"
    if tensor.mean and tensor.std:
        yield f"real value (pixel - {_numbers(tensor.mean)}) / {_numbers(tensor.std)}"
    if tensor.score_threshold is not None:
        yield f"answers from {tensor.score_threshold:g} on"
    for file in tensor.files:
        yield f"{file.name}{f' ({file.locale})' if file.locale else ''}"


def _numbers(values: tuple[float, ...]) -> str:
    return ", ".join(f"{value:g}" for value in values[:4])
