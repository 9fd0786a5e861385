"""The hub's files through huggingface_hub itself, against a server of our own; each case is a process of its own.

huggingface_hub reads HF_ENDPOINT, HF_HOME and HF_HUB_OFFLINE when it is imported, so a process per case is the only
way to test that they are honoured.
"""

import hashlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from safetensors.numpy import save

from edgenet.variants import VARIANTS
from edgenet.weights.hub import HUB
from edgenet.weights.random import random_weights
from tests.weights.file_server import COMMIT, FileServer, serving

V2 = "v2-b0"  # no packaged weights; small
REPOSITORY = HUB[V2].repository
SERVED = f"/{REPOSITORY}/resolve/main/model.safetensors"

PROGRAM = """
import sys
from edgenet.errors import EdgenetError
from edgenet.variants import VARIANTS
from edgenet.weights import imagenet, load
imagenet.imagenet_weights.__defaults__ = (sys.argv[3],)
try:
    weights = load.load_weights(sys.argv[2], VARIANTS[sys.argv[1]], say=lambda text: print("said:", text))
    print(weights.source, weights.origin, weights.sha256, weights.preprocessing, sep="|")
    print(*weights.notes, sep="\\n")
except EdgenetError as error:
    print(error.exit_code, error)
"""


@pytest.fixture(scope="module")
def content() -> bytes:
    """A whole set of weights as a .safetensors file."""
    return save(random_weights(VARIANTS[V2], 5).tensors)


@pytest.fixture
def server(content: bytes) -> Iterator[FileServer]:
    """Serve the weights where the hub has them."""
    with serving({SERVED: content}) as state:
        yield state


def run(folder: Path, url: str, choice: str = "imagenet", variant: str = V2, **environment: str) -> str:
    """Load weights in a fresh process whose hub is at `url`, and whose caches lie in `folder`."""
    plain = {key: value for key, value in os.environ.items() if not key.startswith(("HF_", "EDGENET_"))}
    own = {"HF_ENDPOINT": url, "HF_HOME": str(folder / "hf"), "EDGENET_CACHE": str(folder / "edgenet")}
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, variant, choice, url],
        env={**plain, **own, **environment},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_first_use_downloads_and_pins_and_a_second_needs_no_network(
    server: FileServer, content: bytes, tmp_path: Path
) -> None:
    sha256 = hashlib.sha256(content).hexdigest()
    first = run(tmp_path, server.url)
    assert f"said: downloading {REPOSITORY}" in first
    assert f"imagenet|{REPOSITORY}@{COMMIT}/model.safetensors|{sha256}|" in first and "side_px=224" in first
    pin = json.loads((tmp_path / "edgenet" / "pins" / f"{REPOSITORY.replace('/', '--')}.json").read_text())
    assert pin == {"repository": REPOSITORY, "commit": COMMIT, "sha256": sha256, "size_bytes": len(content)}
    before = list(server.requests)
    second = run(tmp_path, server.url, HF_HUB_OFFLINE="1")
    automatic = run(tmp_path, server.url, "auto", HF_HUB_OFFLINE="1")
    assert second == automatic and f"@{COMMIT}" in second
    assert server.requests == before


def test_a_file_that_changed_since_its_first_use_is_refused(server: FileServer, content: bytes, tmp_path: Path) -> None:
    run(tmp_path, server.url)
    (cached,) = (tmp_path / "hf").rglob("snapshots/*/model.safetensors")
    cached.resolve().write_bytes(content[:-1] + b"x")
    assert run(tmp_path, server.url).startswith("2 ")
    assert "is not what it was: sha256" in run(tmp_path, server.url)


def test_a_new_download_asks_for_the_pinned_commit(server: FileServer, tmp_path: Path) -> None:
    run(tmp_path, server.url)
    (tmp_path / "hf").rename(tmp_path / "gone")
    server.requests.clear()
    run(tmp_path, server.url)
    asked = [request for request in server.requests if "/resolve/" in request]
    assert asked and all(f"/resolve/{COMMIT}/" in request for request in asked)


def test_no_network_is_exit_3_with_three_ways_out_and_soon(tmp_path: Path) -> None:
    started = time.monotonic()
    output = run(tmp_path, "http://127.0.0.1:1")
    assert time.monotonic() - started < 30
    assert "\n3 no ImageNet weights of v2-b0 can be had: " in output
    assert "run once with a network" in output and "--weights FILE" in output and "--weights random" in output


def test_offline_by_choice_asks_nobody(server: FileServer, tmp_path: Path) -> None:
    output = run(tmp_path, server.url, HF_HUB_OFFLINE="1")
    assert "3 no ImageNet weights" in output and "HF_HUB_OFFLINE" in output
    assert server.requests == []


def test_auto_without_network_goes_on_with_random_weights_and_says_so_twice(tmp_path: Path) -> None:
    output = run(tmp_path, "http://127.0.0.1:1", "auto")
    said, result, *notes = [line for line in output.splitlines() if "cannot download" not in line[:60]]
    assert said.startswith("said: RANDOM WEIGHTS: no ImageNet weights of v2-b0 can be had")
    assert result.startswith("random|seed 0|")
    assert notes[0] == said.removeprefix("said: ")


def test_a_repository_that_is_not_there_is_exit_3(server: FileServer, tmp_path: Path) -> None:
    server.files = {}
    assert "3 no ImageNet weights of v2-b0 can be had: cannot download" in run(tmp_path, server.url)


def test_a_broken_pin_is_named(server: FileServer, tmp_path: Path) -> None:
    pins = tmp_path / "edgenet" / "pins"
    pins.mkdir(parents=True)
    (pins / f"{REPOSITORY.replace('/', '--')}.json").write_text("{")
    assert "2 " in run(tmp_path, server.url) and "delete it" in run(tmp_path, server.url)


def test_weights_of_another_network_on_the_hub_are_refused(server: FileServer, tmp_path: Path) -> None:
    server.files = {SERVED: save({"conv_stem.weight": random_weights(VARIANTS["b1"]).tensors["conv_stem.weight"]})}
    assert f"2 {REPOSITORY} (timm names) does not fit v2-b0: " in run(tmp_path, server.url)
