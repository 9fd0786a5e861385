"""Platform `python`: a package and its wheel, whose only needs are NumPy, Pillow and a runtime."""

from __future__ import annotations

import hashlib
import io
import zipfile
from base64 import urlsafe_b64encode
from collections.abc import Mapping
from typing import TYPE_CHECKING

from edgenet.bundle.names import default_name, python_name
from edgenet.bundle.platform import Files, Platform

if TYPE_CHECKING:
    from edgenet.bundle.content import Content

VERSION = "1.0.0"
# 32-bit ARM: ai-edge-litert has no wheels for it, and tflite-runtime is built against NumPy 1.
_ARM = 'platform_machine == "armv7l"'
REQUIREMENTS = (
    f"ai-edge-litert>=1.2; {_ARM.replace('==', '!=')}",
    f"tflite-runtime>=2.13; {_ARM}",
    f"numpy>=1.21; {_ARM.replace('==', '!=')}",
    f"numpy>=1.21,<2; {_ARM}",
    "pillow>=9.1",
)


def _variables(content: Content) -> Mapping[str, object]:
    return {"package_version": VERSION, "requirements": REQUIREMENTS}


def _with_wheel(content: Content, files: Files) -> Files:
    """Return the wheel of the package: built here, so that a board without a network can install it."""
    name = content.name
    info = f"{name}-{VERSION}.dist-info"
    inside = {path: file for path, file in files.items() if path.startswith(f"{name}/")}
    inside[f"{info}/METADATA"] = _metadata(name, files["README.md"].decode()).encode()
    inside[f"{info}/WHEEL"] = b"Wheel-Version: 1.0\nGenerator: edgenet\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
    inside[f"{info}/entry_points.txt"] = f"[console_scripts]\n{name} = {name}.__main__:main\n".encode()
    inside[f"{info}/RECORD"] = _record(inside, f"{info}/RECORD")
    return {f"dist/{name}-{VERSION}-py3-none-any.whl": _zip(inside)}


def _metadata(name: str, readme: str) -> str:
    needs = "".join(f"Requires-Dist: {line}\n" for line in REQUIREMENTS)
    return (
        f"Metadata-Version: 2.1\nName: {name}\nVersion: {VERSION}\nSummary: Classify photos.\n{needs}"
        f"Requires-Python: >=3.9\nDescription-Content-Type: text/markdown\n\n{readme}"
    )


def _record(files: Mapping[str, bytes], own: str) -> bytes:
    """Return the list of a wheel's files with their hashes, as pip checks them (PEP 376, 427)."""
    rows = []
    for path, file in sorted(files.items()):
        digest = urlsafe_b64encode(hashlib.sha256(file).digest()).rstrip(b"=").decode()
        rows.append(f"{path},sha256={digest},{len(file)}\n")
    return "".join([*rows, f"{own},,\n"]).encode()


def _zip(files: Mapping[str, bytes]) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        for path, file in sorted(files.items()):
            entry = zipfile.ZipInfo(path)  # dated 1980: the same files give the same wheel
            entry.external_attr, entry.compress_type = 0o644 << 16, zipfile.ZIP_DEFLATED
            archive.writestr(entry, file)
    return stream.getvalue()


PYTHON = Platform(
    templates="python",
    about="a wheel that needs NumPy, Pillow and a runtime, for a Raspberry Pi",
    assets="{name}/data/",
    golden="{name}/data/golden/",
    check_name=python_name,
    default_name=default_name,
    next_step="pip install {out}/dist/{name}-1.0.0-py3-none-any.whl && {name} --check",
    variables=_variables,
    more=_with_wheel,
)
