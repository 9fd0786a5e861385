"""Run a model of one ADD in the TFLite runtime and import ONNX Runtime; print their versions as JSON.

Arguments: the modules to try. A child of its own for whoever asks: a runtime that crashes ends this program only.
"""

from __future__ import annotations

import base64
import importlib
import json
import os
import sys

# y = x + 1 of shape [1, 4], float32: tests/devices/test_setup.py builds the same bytes.
MODEL = (
    "JAAAAFRGTDMAAAAAAAAAABQAIAAcABgAFAAQAAwAAAAIAAQAFAAAABwAAACMAAAAjAAAAJQAAACcAAAA2AEAAAMAAAABAAAAEAAAAAAACgAQAAwA"
    "CAAEAAoAAAAMAAAAHAAAADwAAAAPAAAAc2VydmluZ19kZWZhdWx0AAEAAAAMAAAACAAMAAgABAAIAAAAAQAAAAQAAAABAAAAeQAAAAEAAAAEAAAA"
    "gv7//wQAAAABAAAAeAAAAAAAAAACAAAAeAEAAGgBAAAFAAAAcHJvYmUAAAABAAAAFAAAAAAADgAYABQAEAAMAAgABAAOAAAAFAAAABwAAABcAAAA"
    "YAAAAGQAAAAEAAAAbWFpbgAAAAABAAAAFAAAAAAADgAUAAAAEAAMAAsABAAOAAAAEAAAAAAAAAsMAAAAEAAAAAj///8BAAAAAQAAAAIAAAAAAAAA"
    "AgAAAAEAAAABAAAAAQAAAAAAAAADAAAAiAAAAEgAAAAcAAAAAAAWABQAEAAAAAwACAAAAAAAAAAAAAcAFgAAAAAAAAEMAAAAAQAAAAwAAAADAAAA"
    "b25lAAIAAAABAAAABAAAANr///8AAAABCAAAAAwAAAABAAAAeQAAAAIAAAABAAAABAAAAAAAFgAQAAwAAAAAAAgAAAAAAAAAAAAHABYAAAAAAAAB"
    "CAAAAAwAAAABAAAAeAAAAAIAAAABAAAABAAAAAEAAAAIAAAABAAGAAQAAAAAAAYACAAEAAYAAAAMAAAABAAEAAQAAAAQAAAAAACAPwAAgD8AAIA/"
    "AACAPw=="
)


def main() -> None:
    """Print module -> version."""
    os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")  # ONNX Runtime from 1.29 on reports already its import
    versions = {}
    for name in sys.argv[1:]:
        module = importlib.import_module(name)
        if name != "onnxruntime":
            _run(importlib.import_module(name + ".interpreter"))
        versions[name] = str(getattr(module, "__version__", ""))
    print(json.dumps(versions))


def _run(module: object) -> None:
    interpreter = module.Interpreter(model_content=base64.b64decode(MODEL))  # type: ignore[attr-defined]  # two runtimes
    interpreter.allocate_tensors()
    (entry,), (exit_,) = interpreter.get_input_details(), interpreter.get_output_details()
    import numpy

    interpreter.set_tensor(entry["index"], numpy.zeros((1, 4), numpy.float32))
    interpreter.invoke()
    if interpreter.get_tensor(exit_["index"]).tolist() != [[1.0] * 4]:
        raise SystemExit("0 + 1 is not 1 in this runtime")


if __name__ == "__main__":
    main()
