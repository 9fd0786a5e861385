"""LiteRT.js for web bundles: one pinned npm package, from the cache, from a file, or by npm."""

from __future__ import annotations

import io
import shutil
import subprocess
import tarfile
import tempfile
from importlib.metadata import distributions
from pathlib import Path

from edgenet.artifact import sha256
from edgenet.atomic import write_files
from edgenet.errors import InputError, MissingError
from edgenet.weights.cache import cache_folder

PACKAGE, VERSION = "@litertjs/core", "2.5.3"
FILE = f"litertjs-core-{VERSION}.tgz"
SHA256 = "a97660833e9e7e1063c95e12016718881240b14f7438728a2f62785e912d30fd"
TIMEOUT_S = 120
# Member of the package -> place in the bundle. `compat` is for browsers without relaxed SIMD, Safari among them; the
# variants with threads need headers that few servers send.
MEMBERS = {
    "package/dist/index.js": "litert/index.js",
    "package/wasm/litert_wasm_internal.js": "litert/wasm/litert_wasm_internal.js",
    "package/wasm/litert_wasm_internal.wasm": "litert/wasm/litert_wasm_internal.wasm",
    "package/wasm/litert_wasm_compat_internal.js": "litert/wasm/litert_wasm_compat_internal.js",
    "package/wasm/litert_wasm_compat_internal.wasm": "litert/wasm/litert_wasm_compat_internal.wasm",
}
_COMMAND = f"npm pack {PACKAGE}@{VERSION}"
_SOURCE_MAP = b"//# sourceMappingURL=index.js.map"  # which is not in the bundle


def runtime_files(given: str) -> dict[str, bytes]:
    """Return the runtime's files by their place in the bundle; `given` is the package as a file, "" to get it.

    Raise InputError for a file that is another, MissingError where it cannot be had.
    """
    package = _checked(Path(given)) if given else _cached()
    with tarfile.open(fileobj=io.BytesIO(package)) as archive:  # pinned by its hash: its members are known
        files = {place: _member(archive, name) for name, place in MEMBERS.items()}
    files["litert/index.js"] = files["litert/index.js"].replace(_SOURCE_MAP, b"").rstrip() + b"\n"
    files["litert/LICENSE"] = _licence()
    return files


def _licence() -> bytes:
    """Return the text of Apache-2.0, the runtime's licence and edgenet's."""
    # In a checkout an .egg-info, which has no licence, may stand before what is installed.
    found = (row.read_text("licenses/LICENSE") for row in distributions(name="edgenet"))
    licence = next((text for text in found if text), None)
    if licence is None:
        raise MissingError("the installation lacks its licence text", mend="install edgenet again")
    return licence.encode()


def _member(archive: tarfile.TarFile, name: str) -> bytes:
    file = archive.extractfile(name)
    if file is None:
        raise InputError(f"{FILE} lacks {name}")
    return file.read()


def _checked(path: Path) -> bytes:
    try:
        content = path.read_bytes()
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror}", allowed=f"{FILE}, from {_COMMAND}") from error
    if sha256(content) != SHA256:
        raise InputError(f"{path} is not {FILE} (sha256 differs)", mend=f"get it by {_COMMAND}")
    return content


def _cached() -> bytes:
    path = cache_folder() / "runtimes" / FILE
    if path.is_file() and sha256(path.read_bytes()) == SHA256:
        return path.read_bytes()
    content = _packed()
    write_files({path: content})
    return content


def _packed() -> bytes:
    """Return the package as npm gives it."""
    mend = f"run {_COMMAND} where there is a network, and give its file with --runtime"
    npm = shutil.which("npm")
    if npm is None:
        raise MissingError(f"{PACKAGE} {VERSION} is not here, and neither is npm", mend=mend)
    with tempfile.TemporaryDirectory() as folder:
        command = [npm, "pack", "--ignore-scripts", f"{PACKAGE}@{VERSION}"]
        try:
            subprocess.run(command, cwd=folder, capture_output=True, timeout=TIMEOUT_S, check=True)
        except (subprocess.SubprocessError, OSError) as error:
            raise MissingError(f"npm could not get {PACKAGE} {VERSION}", mend=mend) from error
        return _checked(Path(folder) / FILE)
