"""What JavaScript sees of pictures: modules that preprocess, run by Node.js on pixels as an app has them."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from tests.bundle.node_packages import run_node
from tests.bundle.odd_pictures import ORIENTATION_TAG, as_stored, write_odd_pictures

Pixels = NDArray[np.uint8]
# Each row of the first argument: a module that sees, the photo without its bytes, their file, and where to write.
SEE = """
const fs = require("fs");
for (const { module, photo, bytes, target } of JSON.parse(fs.readFileSync(process.argv[2], "utf8"))) {
  const { see, Photo } = require(module);
  const whole = { ...photo, bytes: new Uint8Array(fs.readFileSync(bytes)) };
  fs.writeFileSync(target, see(Photo ? Photo(whole.bytes, photo.width, photo.height, photo) : whole));
}
"""


@dataclass(frozen=True)
class Layout:
    """How a picture lies in memory."""

    name: str
    photo: Mapping[str, object]
    pad: int = 0  # bytes after each line

    def bytes_of(self, rgba: Pixels) -> bytes:
        """Return the pixels [height, width, 4] as they lie."""
        pixels = rgba
        if self.photo.get("premultiplied"):
            alpha = rgba[..., 3:].astype(np.int64)
            colours = (2 * rgba[..., :3].astype(np.int64) * alpha + 255) // 510  # rounded, as Skia does
            pixels = np.concatenate((colours.astype(np.uint8), rgba[..., 3:]), axis=-1)
        if self.photo.get("order") == "bgra":
            pixels = pixels[..., [2, 1, 0, 3]]
        lines = pixels.reshape(len(pixels), -1)
        return np.pad(lines, ((0, 0), (0, self.pad)), constant_values=99).tobytes()


LAYOUTS = (
    Layout("rgba", {}),
    Layout("bgra", {"order": "bgra"}, pad=12),
    Layout("premultiplied", {"premultiplied": True}),
)


def pictures(folder: Path) -> list[Path]:
    """Write the odd pictures, and one more in each of the eight orientations of EXIF."""
    paths = write_odd_pictures(folder)
    noise = Image.open(folder / "noise.png").crop((0, 0, 70, 41))
    for orientation in range(1, 9):
        exif = Image.Exif()
        exif[ORIENTATION_TAG] = orientation
        paths.append(folder / f"orientation-{orientation}.png")
        noise.save(paths[-1], exif=exif)
    return paths


def seen_by(modules: Sequence[Path], paths: Sequence[Path], folder: Path) -> Iterator[tuple[int, str, Path, Pixels]]:
    """Yield what each module sees of each picture in each layout: its number, the layout, the picture, the pixels."""
    rows, cases = [], []
    for path in paths:
        rgba, degrees, mirrored = as_stored(path)
        height, width = rgba.shape[:2]
        for layout in LAYOUTS:
            place = folder / f"{path.name}.{layout.name}"
            place.write_bytes(layout.bytes_of(rgba))
            photo = {**layout.photo, "width": width, "height": height, "rotationDegrees": degrees, "mirrored": mirrored}
            photo |= {"bytesPerRow": 4 * width + layout.pad} if layout.pad else {}
            for number, module in enumerate(modules):
                target = f"{place}.{number}"
                rows.append({"module": str(module), "photo": photo, "bytes": str(place), "target": target})
                cases.append((number, layout.name, path, target))
    (folder / "rows.json").write_text(json.dumps(rows), encoding="utf-8")
    (folder / "see.cjs").write_text(SEE, encoding="utf-8")
    done = run_node(folder, "see.cjs", "rows.json")
    assert done.returncode == 0, done.stderr
    for number, layout_name, path, target in cases:
        yield number, layout_name, path, np.fromfile(target, dtype=np.uint8)
