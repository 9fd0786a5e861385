"""ImageNet weights as Keras publishes them (.h5), the second source: B0–B7 and V2, each with Keras' own MD5.

File names and MD5 sums after tf_keras `applications/efficientnet.py` and `efficientnet_v2.py` (`WEIGHTS_HASHES`).
"""

import hashlib
import http.client
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from edgenet.errors import InputError, MissingError
from edgenet.variants import Variant
from edgenet.weights.cache import CHUNK_BYTES, cache_folder, file_digest, written_whole

Say = Callable[[str], None]

BASE_URL = "https://storage.googleapis.com"
V1_FOLDER = "keras-applications"
V2_FOLDER = "tensorflow/keras-applications/efficientnet_v2"
TIMEOUT_S = 10.0
REPORT_PERCENT = 25


@dataclass(frozen=True)
class KerasRow:
    """One published file: where it lies and its MD5."""

    folder: str
    file: str
    md5: str


KERAS_FILES: dict[str, KerasRow] = {
    "b0": KerasRow(V1_FOLDER, "efficientnetb0.h5", "902e53a9f72be733fc0bcb005b3ebbac"),
    "b1": KerasRow(V1_FOLDER, "efficientnetb1.h5", "1d254153d4ab51201f1646940f018540"),
    "b2": KerasRow(V1_FOLDER, "efficientnetb2.h5", "b15cce36ff4dcbd00b6dd88e7857a6ad"),
    "b3": KerasRow(V1_FOLDER, "efficientnetb3.h5", "ffd1fdc53d0ce67064dc6a9c7960ede0"),
    "b4": KerasRow(V1_FOLDER, "efficientnetb4.h5", "18c95ad55216b8f92d7e70b3a046e2fc"),
    "b5": KerasRow(V1_FOLDER, "efficientnetb5.h5", "ace28f2a6363774853a83a0b21b9421a"),
    "b6": KerasRow(V1_FOLDER, "efficientnetb6.h5", "165f6e37dce68623721b423839de8be5"),
    "b7": KerasRow(V1_FOLDER, "efficientnetb7.h5", "8c03f828fec3ef71311cd463b6759d99"),
    "v2-b0": KerasRow(V2_FOLDER, "efficientnetv2-b0.h5", "21ecbf6da12460d5c40bb2f29ceb2188"),
    "v2-b1": KerasRow(V2_FOLDER, "efficientnetv2-b1.h5", "069f0534ff22adf035c89e2d9547a9dc"),
    "v2-b2": KerasRow(V2_FOLDER, "efficientnetv2-b2.h5", "424e49f28180edbde1e94797771950a7"),
    "v2-b3": KerasRow(V2_FOLDER, "efficientnetv2-b3.h5", "1f1fc43bd98a6e4fd8fdfd551e02c7a0"),
    "v2-s": KerasRow(V2_FOLDER, "efficientnetv2-s.h5", "e1d88a8495beba45748fedd0cecbe016"),
    "v2-m": KerasRow(V2_FOLDER, "efficientnetv2-m.h5", "a3bf6aa3276309f4fc6a34aa114c95cd"),
    "v2-l": KerasRow(V2_FOLDER, "efficientnetv2-l.h5", "27e6d408b53c7ebc868fefa357689935"),
}


def keras_path(row: KerasRow) -> Path:
    """Return where a downloaded file is kept."""
    return cache_folder() / "keras" / row.file


def cached_keras_file(variant: Variant) -> Path | None:
    """Return the variant's file where the cache has it, None where not; raise InputError where it was altered."""
    row = KERAS_FILES.get(variant.name)
    if row is None or not keras_path(row).is_file():
        return None
    md5 = file_digest(keras_path(row), "md5")
    if md5 != row.md5:
        raise InputError(f"{keras_path(row)} was altered: md5 {md5}", allowed=row.md5, mend="delete it")
    return keras_path(row)


def download_keras_file(variant: Variant, say: Say, base_url: str = BASE_URL) -> Path:
    """Download the variant's file into the cache, whole and of the published MD5; return its path.

    Raises MissingError where there is none, no network, or what came is not that file.
    """
    row = KERAS_FILES.get(variant.name)
    if row is None:
        raise MissingError(f"Keras publishes no weights of {variant.name}", allowed=", ".join(KERAS_FILES))
    path, md5 = keras_path(row), hashlib.md5(usedforsecurity=False)
    with written_whole(path) as file:
        for chunk in _chunks(f"{base_url}/{row.folder}/{row.file}", say):
            file.write(chunk)
            md5.update(chunk)
        if md5.hexdigest() != row.md5:
            what = f"{row.file} did not arrive as published: md5 {md5.hexdigest()}"
            raise MissingError(what, allowed=row.md5, mend="try again")
    return path


def _chunks(url: str, say: Say) -> Iterator[bytes]:
    """Yield a file's bytes, saying how far it is; raise MissingError for any failure of the network."""
    try:
        with urllib.request.urlopen(url, timeout=TIMEOUT_S) as response:
            total_bytes = int(response.headers.get("Content-Length") or 0)
            done_bytes, next_percent = 0, 0
            while chunk := response.read(CHUNK_BYTES):
                done_bytes += len(chunk)
                percent = 100 * done_bytes // total_bytes if total_bytes else 0
                if percent >= next_percent or done_bytes == total_bytes:
                    say(f"downloading {url.rpartition('/')[2]}: {percent} % of {total_bytes / 1e6:.0f} MB")
                    next_percent = percent + REPORT_PERCENT
                yield chunk
            if done_bytes < total_bytes:
                raise MissingError(f"cannot download {url}: {done_bytes} of {total_bytes} bytes came", mend="try again")
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise MissingError(f"cannot download {url}: {error}") from error
