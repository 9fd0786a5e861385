"""What all tests share: hypothesis draws the same examples each time, so that a run can be repeated.

`pytest --hypothesis-profile=search` draws new ones.
"""

import os
import sys
from collections.abc import Iterator

import pytest
from hypothesis import settings

os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")  # of ONNX Runtime, which tests import by themselves as well

settings.register_profile("repeatable", derandomize=True)
settings.register_profile("search", settings.get_profile("default"))
settings.load_profile("repeatable")


@pytest.fixture(autouse=True)
def natural_width(monkeypatch: pytest.MonkeyPatch) -> None:
    """Give tables the width of a pipe, however wide the terminal is that the tests were started from."""
    monkeypatch.delenv("COLUMNS", raising=False)


@pytest.fixture(autouse=True)
def random_as_before() -> Iterator[None]:
    """Undo what a training in this process tells TensorFlow: to refuse every random op without a seed."""
    yield
    if "tensorflow" in sys.modules:
        from tensorflow.python.framework.config import disable_op_determinism

        disable_op_determinism()
