"""Open ONNX files (in the child process only: the runtime is not made for files of strangers)."""

import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from converters.foreign.onnx_graph import read_graph
from converters.foreign.original import Original, square_side
from converters.onnx_file.document import parse_message
from converters.onnx_file.ends import type_name
from converters.onnx_file.runner import check_ops, onnx_runtime
from edgenet.errors import InputError

FLOAT = 1  # onnx.TensorProto.FLOAT
PROVIDERS = ["CPUExecutionProvider"]
ERRORS_ONLY = 3
FUSIONS_WITHOUT_USE = ["ConvBNFusion", "BatchNormFusion"]  # batch norms are read as they were trained


def open_onnx(path: Path, side_px: int) -> Original:
    """Open an .onnx file of one float image and one output; raise InputError, MissingError without onnxruntime.

    An open side becomes `side_px`; 0 leaves it open, and then what depends on it is not known.
    """
    onnxruntime = onnx_runtime()
    model = parse_message(path.read_bytes())
    _refuse_quantized(model.graph)
    check_ops(model)
    beside = _read_beside(model, path)
    image, side, first = _image(model.graph)
    _fix_sides(model.graph, image, first, side or side_px)
    output = read_graph(_simplified(model).graph, image, side)
    options = onnxruntime.SessionOptions()
    options.log_severity_level = ERRORS_ONLY
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=PROVIDERS)

    def run(values: NDArray[np.float32]) -> Any:
        values = values.transpose(0, 3, 1, 2) if first else values
        return np.asarray(session.run(None, {image: values})[0])[0]

    return Original(f"an ONNX model of {model.producer_name or 'unknown make'}", output, run, beside)


def _fix_sides(graph: Any, image: str, first: bool, side_px: int) -> None:
    """Write one image, and the side where it is known, into the input's shape; the output's is left to be inferred."""
    row = next(row for row in graph.input if row.name == image)
    sides = row.type.tensor_type.shape.dim
    sides[0].dim_value = 1
    for axis in (2, 3) if first else (1, 2):
        if side_px:
            sides[axis].dim_value = side_px
    del graph.value_info[:]
    graph.output[0].type.tensor_type.ClearField("shape")


def _simplified(model: Any) -> Any:
    """Return a model as the runtime simplifies it: what only sides and constants go into is computed."""
    import onnx

    onnxruntime = onnx_runtime()
    options = onnxruntime.SessionOptions()
    options.log_severity_level = ERRORS_ONLY
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "simplified.onnx"
        options.optimized_model_filepath = str(path)
        onnxruntime.InferenceSession(
            model.SerializeToString(), options, providers=PROVIDERS, disabled_optimizers=FUSIONS_WITHOUT_USE
        )
        return onnx.load(str(path))


def _refuse_quantized(graph: Any) -> None:
    odd = next((node for node in graph.node if "Quantize" in node.op_type or node.op_type.startswith("QLinear")), None)
    if odd is not None:
        raise InputError(
            f"{odd.name or odd.output[0]} ({odd.op_type}) makes {odd.output[0]!r}: the model is quantized already",
            allowed="a float32 model",
            mend="give the model that it came from",
        )


def _read_beside(model: Any, path: Path) -> tuple[str, ...]:
    """Take in weights that lie in files beside the model, and name these; raise InputError for one anywhere else."""
    from onnx import external_data_helper

    names = _locations(model)
    for name in names:
        if Path(name).name != name or (path.parent / name).is_symlink() or not (path.parent / name).is_file():
            raise InputError(
                f"{path.name} keeps weights in {name!r}", allowed="a file in the same folder", mend="put it there"
            )
    external_data_helper.load_external_data_for_model(model, str(path.parent))
    return names


def _locations(model: Any) -> tuple[str, ...]:
    """Return the names of the files in which a model keeps weights, sorted."""
    tensors = list(model.graph.initializer)
    tensors += [row.t for node in model.graph.node for row in node.attribute if row.HasField("t")]
    rows = (row for tensor in tensors for row in tensor.external_data if row.key == "location")
    return tuple(sorted({row.value for row in rows}))


def _image(graph: Any) -> tuple[str, int, bool]:
    """Return the only input's name, its side (0: not fixed), and whether channels come first."""
    constants = {row.name for row in graph.initializer}
    inputs = [row for row in graph.input if row.name not in constants]
    if len(inputs) != 1 or len(graph.output) != 1:
        names = ", ".join(row.name for row in (*inputs, *graph.output))
        raise InputError(
            f"the model has {len(inputs)} inputs and {len(graph.output)} outputs ({names})", allowed="one of each"
        )
    kind = inputs[0].type.tensor_type
    sides = [row.dim_value if row.HasField("dim_value") else 0 for row in kind.shape.dim]
    if len(sides) != 4 or kind.elem_type != FLOAT or 3 not in (sides[1], sides[3]) or sides[0] > 1:
        raise InputError(
            f"the model's input {inputs[0].name!r} is {sides} {type_name(kind.elem_type).lower()}",
            allowed="one RGB image, float32, [1, 3, side, side] or [1, side, side, 3]; the batch may be open",
        )
    first = sides[1] == 3
    return inputs[0].name, square_side(*(sides[2:] if first else sides[1:3])), first
