"""Golden vectors of a bundle: drawn photos of three shapes, what the network sees of them, and what it answers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from io import BytesIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from converters import flatbuffer
from converters.golden_check import FLOAT_TOLERANCE, INTEGER_STEPS
from converters.patterns import Op, op_code
from converters.procedural import procedural_image
from converters.runtime import load_runner
from edgenet.bundle.classify import best_answers
from edgenet.bundle.record import AnswerRecord, GoldenDocument, GoldenRecord
from edgenet.preprocessing import Preprocessing, crop_photo

# Width and height in parts of the network's side: an app has to shrink, to cut, and to enlarge.
SHAPES = ((1.37, 1.06), (0.93, 1.21), (0.61, 0.53))
SEED = 6
PIXEL_TOLERANCE = 1  # decoders and resizers elsewhere may round the other way
ROUNDING = 0.01  # of a step: three steps in another order of operations are three steps still
GOLDEN_NAME = "golden.json"


@dataclass(frozen=True)
class Golden:
    """The golden document and the pictures that it names, as PNG bytes by name."""

    document: GoldenDocument
    pictures: dict[str, bytes]


def golden_vectors(content: bytes, record: Preprocessing, labels: Sequence[str]) -> Golden:
    """Draw three photos and run a .tflite file on what it sees of them.

    Elsewhere a logit may be off where kernels or a pixel are rounded otherwise: by the rule that `verify` goes by.
    """
    runner = load_runner(content)
    pictures: dict[str, bytes] = {}
    cases, largest = [], 0.0
    for number, shape in enumerate(SHAPES, 1):
        photo = drawn_photo(number, shape, record.side_px)
        seen = crop_photo(Image.fromarray(photo), record)
        logits = runner.logits(seen)
        largest = max(largest, float(np.abs(logits).max()))
        names = f"{number}.png", f"{number}-seen.png"
        pictures |= dict(zip(names, (png(photo), png(seen)), strict=True))
        top = tuple(
            AnswerRecord(index=row.index, label=row.label, logit=row.logit) for row in best_answers(logits, labels)
        )
        height, width = photo.shape[:2]
        cases.append(GoldenRecord(photo=names[0], seen=names[1], width_px=width, height_px=height, top=top))
    tolerance = max(FLOAT_TOLERANCE * largest, (INTEGER_STEPS + ROUNDING) * output_step(content))
    document = GoldenDocument(pixel_tolerance=PIXEL_TOLERANCE, logit_tolerance=tolerance, cases=tuple(cases))
    return Golden(document, pictures)


def output_step(content: bytes) -> float:
    """Return what one step of the logits is worth, 0 for logits that are not quantized; a float end may hide it."""
    model = flatbuffer.read(content)
    graph = model.subgraphs[0]
    end = int(graph.outputs[0])
    last = next((row for row in graph.operators if int(row.outputs[0]) == end), None)
    if last is not None and op_code(model, last) == Op.DEQUANTIZE:
        end = int(last.inputs[0])
    quantization = graph.tensors[end].quantization
    if quantization is None or quantization.scale is None or len(quantization.scale) == 0:
        return 0.0
    return float(quantization.scale[0])


def drawn_photo(number: int, shape: tuple[float, float], side_px: int) -> NDArray[np.uint8]:
    """Return a drawn photo [height, width, 3] whose shape is given in parts of a side."""
    width, height = (max(1, round(part * side_px)) for part in shape)
    return procedural_image(number, max(width, height), SEED)[:height, :width]


def png(pixels: NDArray[np.uint8]) -> bytes:
    """Return pixels [height, width, 3] as a PNG file."""
    stream = BytesIO()
    Image.fromarray(np.ascontiguousarray(pixels)).save(stream, "PNG")
    return stream.getvalue()
