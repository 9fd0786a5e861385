"""Platform `web`: a page that can be installed and works offline, over LiteRT.js."""

from __future__ import annotations

import hashlib
import json
from base64 import b64encode
from collections.abc import Mapping
from io import BytesIO
from typing import TYPE_CHECKING

from PIL import Image, ImageDraw

from edgenet.artifact import sha256
from edgenet.bundle import web_runtime
from edgenet.bundle.names import title
from edgenet.bundle.platform import Files, Platform

if TYPE_CHECKING:
    from edgenet.bundle.content import Content

IMPORT_MAP = json.dumps({"imports": {
    "@litertjs/core": "./litert/index.js", "@litertjs/wasm-utils": "./litert/wasm-utils.js",
}})  # fmt: skip
GREEN, LEAF = "#14532d", "#bbf7d0"
_NOT_KEPT = ("litert/wasm/", "README.md", "litert/LICENSE")  # of the wasm the page keeps the variant that it took


def _variables(content: Content) -> Mapping[str, object]:
    digest = b64encode(hashlib.sha256(IMPORT_MAP.encode()).digest()).decode()
    policy = (
        f"default-src 'none'; script-src 'self' 'wasm-unsafe-eval' 'sha256-{digest}'; style-src 'self'; "
        "img-src 'self' blob:; media-src 'self' blob:; connect-src 'self'; manifest-src 'self'; worker-src 'self'; "
        "base-uri 'none'; form-action 'none'"
    )
    return {"import_map": IMPORT_MAP, "policy": policy, "runtime_version": web_runtime.VERSION}


def _more(content: Content, files: Files) -> Files:
    """Return the runtime, the icons, and the list of what is kept for use without a network."""
    more = {f"icon-{side}.png": icon(side) for side in (192, 512)} | web_runtime.runtime_files(content.wishes.runtime)
    return {**more, "offline.js": _offline({**files, **more})}


def _offline(files: Files) -> bytes:
    """Return a script with the version, a hash of every file, so that a browser notices any change."""
    digest = sha256("".join(f"{path} {sha256(file)}\n" for path, file in sorted(files.items())).encode())
    kept = ["./", *(path for path in sorted(files) if not path.startswith(_NOT_KEPT))]
    document = {"prefix": "edgenet-", "version": f"edgenet-{digest[:16]}", "files": kept}
    return f"self.OFFLINE = {json.dumps(document, indent=2)};\n".encode()


def icon(side: int) -> bytes:
    """Return the page's icon as PNG: a frame, and in it what the network sees of a photo."""
    image = Image.new("RGB", (side, side), GREEN)
    pen = ImageDraw.Draw(image)
    unit = side // 16
    pen.rectangle((4 * unit, 4 * unit, 12 * unit, 12 * unit), outline=LEAF, width=unit)
    pen.ellipse((6 * unit, 6 * unit, 10 * unit, 10 * unit), fill=LEAF)
    stream = BytesIO()
    image.save(stream, "PNG")
    return stream.getvalue()


WEB = Platform(
    templates="web",
    about="an installable offline page over LiteRT.js",
    assets="assets/",
    golden="golden/",
    check_name=title,
    default_name=lambda variant: f"{variant} classifier",
    next_step="python3 -m http.server --directory {out}",
    inputs=("uint8", "float32"),
    variables=_variables,
    more=_more,
)
