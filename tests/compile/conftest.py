"""What the tests of edgenet compile share: a model, a private folder, and the verb run in it."""

from pathlib import Path

import pytest

from tests.test_artifact import write_small
from tests.verbs import Run, verb


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a small w8a8 artifact."""
    (artifact,) = write_small(tmp_path_factory.mktemp("model"), ["w8a8"])
    return artifact.path


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give edgenet a cache of its own; return its private folder, where it works."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "edgenet"


@pytest.fixture
def run(home: Path, capsys: pytest.CaptureFixture[str]) -> Run:
    return verb("compile", capsys)
