"""Wheels made by the tests: pure Python that answers to the runtimes' names, so that setup's steps can be watched."""

from __future__ import annotations

import zipfile
from collections.abc import Mapping
from pathlib import Path

RUNTIME = """
class Interpreter:
    def __init__(self, model_content): assert model_content[4:8] == b"TFL3"
    def allocate_tensors(self): pass
    def get_input_details(self): return [{"index": 0}]
    def get_output_details(self): return [{"index": 1}]
    def set_tensor(self, index, value): pass
    def invoke(self): pass
    def get_tensor(self, index): return self
    def tolist(self): return [[1.0] * 4]
"""
NUMPY = "float32 = None\ndef zeros(shape, dtype): return None\n"
GOOD = {
    "ai_edge_litert/__init__.py": "__version__ = 'toy'\n",
    "ai_edge_litert/interpreter.py": RUNTIME,
    "onnxruntime/__init__.py": "__version__ = 'toy'\n",
    "numpy.py": NUMPY,
    "toy-1.0.data/purelib/from_data.py": "",
    "toy-1.0.data/scripts/started_by_nobody": "",
}
CRASHING = {**GOOD, "ai_edge_litert/__init__.py": "import os, signal; os.kill(os.getpid(), signal.SIGSEGV)\n"}
FAILING = {**GOOD, "onnxruntime/__init__.py": "raise ImportError('no libfoo.so')\n"}


def make_wheel(path: Path, members: Mapping[str, str]) -> Path:
    """Write a wheel with these members and what pip wants to see besides; its name tells both name and version."""
    name, version = path.name.split("-")[:2]
    info = f"{name}-{version}.dist-info"
    metadata = {
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        f"{info}/RECORD": "",
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path, "w") as wheel:
        for member, text in {**members, **metadata}.items():
            wheel.writestr(member, text)
    return path
