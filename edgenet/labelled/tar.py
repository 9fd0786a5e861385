"""Tar shards in the way of WebDataset: files that share a name up to its first dot are one sample.

`0001.jpg` beside `0001.cls`, one after the other; the .cls file holds the class index, or a name. The shards must not
be compressed, so that an image can be read where it lies.
"""

from __future__ import annotations

import re
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path

from edgenet.errors import InputError
from edgenet.labelled.classes import Classes
from edgenet.labelled.example import Example
from edgenet.photos import PHOTO_SUFFIXES, Skipped

TAR_SUFFIX, LABEL = ".tar", "cls"
MOST_LABEL_BYTES = 4096
# The key of a member and what kind of file it is of its sample: a/0001.seg.png is seg.png of a/0001.
_MEMBER = re.compile(r"((?:.*/)?[^./][^./]*)\.([^/]+)")
_IMAGES = {suffix[1:] for suffix in PHOTO_SUFFIXES}


@dataclass(frozen=True)
class _Member:
    """A file in a shard, by the place of its bytes."""

    key: str
    kind: str
    offset: int
    size_bytes: int


@dataclass
class _Sample:
    """What a shard holds under one key."""

    name: str
    images: list[_Member] = field(default_factory=list)
    labels: list[_Member] = field(default_factory=list)


def read_shard(path: Path, classes: Classes) -> Iterator[Example | Skipped]:
    """Yield each sample of a shard as an example, or say why it has no image.

    Raise InputError for a file that is no plain tar file or is damaged, and a sample without a label of `classes`.
    """
    with path.open("rb") as file:
        for key, members in groupby(_members(path), key=lambda member: member.key):
            sample = _Sample(f"{path.name}#{key}")
            for member in members:
                if member.kind in _IMAGES:
                    sample.images.append(member)
                elif member.kind == LABEL:
                    sample.labels.append(member)
            if len(sample.images) != 1:
                yield Skipped(sample.name, f"holds {len(sample.images)} images ({', '.join(sorted(_IMAGES))})")
                continue
            if len(sample.labels) != 1:
                raise InputError(f"{sample.name} has {len(sample.labels)} labels", allowed=f"one .{LABEL} a sample")
            file.seek(sample.labels[0].offset)
            text = file.read(min(sample.labels[0].size_bytes, MOST_LABEL_BYTES)).decode("utf-8", "replace").strip()
            image = sample.images[0]
            index = classes.index_of(text, sample.name)
            yield Example(sample.name, index, path, None, image.offset, image.size_bytes)


def _members(path: Path) -> Iterator[_Member]:
    """Yield the plain files of a shard whose names have a key and a kind, in their order."""
    try:
        with tarfile.open(path, "r:") as shard:
            while row := shard.next():
                vars(shard)["members"].clear()  # which it would keep for later
                found = _MEMBER.fullmatch(row.name)
                if found and row.isreg() and not row.issparse():
                    yield _Member(found[1], found[2].lower(), row.offset_data, row.size)
            end = shard.offset
    except (tarfile.TarError, OSError) as error:
        raise InputError(
            f"{path.name} cannot be read as a tar file: {error}", allowed="tar files without compression"
        ) from error
    _check_end(path, end)


def _check_end(path: Path, end: int) -> None:
    """Raise InputError if what follows the last member is no end of a tar file: the reader takes damage for one."""
    with path.open("rb") as file:
        file.seek(end)
        block = file.read(tarfile.BLOCKSIZE)
    if any(block):
        raise InputError(f"{path.name} is damaged at byte {end}", mend="write or copy it again")
