"""The private environment: new and whole, or as it was; from the network, or from wheels that are pushed."""

from __future__ import annotations

import ast
import base64
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from devices import wheels
from devices.base import DeviceFull
from devices.fake import described
from devices.local import LocalDevice
from devices.on_device_setup import try_runtimes
from devices.probing import probe
from devices.runtimes import Plan, Target, plan
from devices.setup import set_up
from edgenet.errors import MissingError
from edgenet.progress import silent
from tests.devices.boards import PROGRAMS, board
from tests.devices.toy_wheels import CRASHING, FAILING, GOOD, make_wheel

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="wheels are fetched for Linux only")


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("EDGENET_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("PIP_DISABLE_PIP_VERSION_CHECK", "1")
    return tmp_path / "cache"


@pytest.fixture
def device(tmp_path: Path) -> LocalDevice:
    return LocalDevice(tmp_path / "home with blanks; $(touch hacked)")


def _keep(device: LocalDevice, members: dict[str, str]) -> None:
    """Put a toy in the place of the wheels that were fetched before."""
    target = probe(device, device.describe()).target
    folder = wheels.wheel_folder(plan(target), target)
    make_wheel(folder / "toy-1.0-py3-none-any.whl", members)


def _home(device: LocalDevice) -> Path:
    return Path(device.describe().home)


def _entries(device: LocalDevice) -> list[str]:
    return sorted(path.name for path in _home(device).iterdir())


def test_an_offline_device_gets_wheels(device: LocalDevice) -> None:
    _keep(device, GOOD)
    said: list[str] = []
    prepared = set_up(device, True, silent, said.append)
    assert prepared.versions == {"ai_edge_litert": "toy", "onnxruntime": "toy"}
    assert prepared.origin == "wheels"
    assert said == ["local: wheels are fetched here and pushed (--offline)"]
    assert _entries(device) == ["files", "venv"]
    assert list((_home(device) / "files").iterdir()) == []
    assert device.describe().python == prepared.python
    assert device.run([prepared.python, "-c", "import from_data"], 30).status == 0
    assert not list((_home(device) / "venv").rglob("started_by_nobody"))


@pytest.mark.parametrize(
    ("members", "says"),
    [
        (CRASHING, "crashes on local: ended by signal 11"),
        (FAILING, "could not run ai-edge-litert, onnxruntime: ImportError: no libfoo.so"),
        ({**GOOD, "../../../../evil.py": ""}, "a member leads out of the wheel: '../../../../evil.py'"),
    ],
    ids=["crash", "import", "hostile"],
)
def test_what_does_not_run_leaves_the_earlier_one(
    device: LocalDevice, tmp_path: Path, members: dict[str, str], says: str
) -> None:
    earlier = _home(device) / "venv" / "bin"
    earlier.mkdir(parents=True)
    (earlier / "python").symlink_to(sys.executable)
    _keep(device, members)
    with pytest.raises(MissingError) as caught:
        set_up(device, True, silent, silent_say)
    assert says in str(caught.value)
    assert _entries(device) == ["files", "venv"]
    assert (earlier / "python").exists()
    assert not list(tmp_path.rglob("evil.py"))


def silent_say(text: str) -> None:
    del text


def test_an_interrupt_leaves_the_earlier_one(device: LocalDevice, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*_: object) -> list[Path]:
        raise KeyboardInterrupt

    (_home(device) / "venv.old").mkdir()  # an earlier setup was cut off between its two renames
    monkeypatch.setattr(wheels, "fetch", interrupt)
    with pytest.raises(KeyboardInterrupt):
        set_up(device, True, silent, silent_say)
    assert _entries(device) == ["venv"]


def test_without_a_network_it_says_so_and_pushes(device: LocalDevice, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    _keep(device, GOOD)
    said: list[str] = []
    assert set_up(device, False, silent, said.append).origin == "wheels"
    assert said[0] == "local: installing ai-edge-litert, onnxruntime from the network"
    assert said[1].startswith("local could not install from the network (ERROR: No matching distribution found")


@pytest.mark.slow
@pytest.mark.parametrize("offline", [False, True], ids=["from the index", "from pushed wheels"])
def test_the_real_runtimes(device: LocalDevice, offline: bool) -> None:
    prepared = set_up(device, offline, silent, silent_say)
    assert prepared.origin == ("wheels" if offline else "network")
    assert set(prepared.versions) == {"ai_edge_litert", "onnxruntime"}


def _fetch_toy(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    toy = make_wheel(tmp_path / "toy-1.0-py3-none-any.whl", GOOD)
    monkeypatch.setattr(wheels, "fetch", lambda plan, target, report: [toy])


def test_a_32_bit_board_takes_the_systems_numpy(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    _fetch_toy(monkeypatch, tmp_path)
    device = board({"machine": "armv7l", "packages": {"numpy": "1.24.2"}})
    said: list[str] = []
    prepared = set_up(device, False, silent, said.append)
    assert prepared.requirements == ("tflite-runtime==2.14.0",)
    assert said == ["fake:pi has no ensurepip, so wheels are fetched here and pushed"]
    made = next(call.given for call in device.calls if "venv" in call.given)
    home = "/home/fake/.cache/edgenet"
    assert made[1:] == ("-I", "-m", "venv", "--without-pip", "--system-site-packages", f"{home}/venv.new")
    # describe, probe, restore, venv, push the wheel, unpack, forget the wheel, try, swap
    assert device.order == ["describe", "run", "run", "run", "push", "run", "remove", "run", "run"]
    assert device.files == {}


@pytest.mark.parametrize(
    ("changes", "mend"),
    [
        ({"machine": "armv7l"}, "sudo apt-get install python3-numpy there"),
        ({"machine": "armv7l", "packages": {"numpy": "2.2.4"}}, "sudo apt-get install python3-numpy there"),
        ({"can_make_venv": False}, "sudo apt-get install python3-venv there"),
        ({"implementation": "PyPy"}, 'python = "/usr/bin/python3"'),
        ({"machine": "armv7l", "python": [3, 13, 5]}, "install a Python from 3.7 to 3.11"),
    ],
    ids=["no NumPy", "NumPy 2", "no venv", "PyPy", "no wheels"],
)
def test_what_a_board_may_lack(changes: dict[str, object], mend: str) -> None:
    device = board(changes)
    with pytest.raises(MissingError) as caught:
        set_up(device, False, silent, silent_say)
    assert mend in caught.value.mend
    assert device.order == ["describe", "run"]  # nothing was changed


def test_a_python_that_is_too_old_is_not_asked() -> None:
    device = board({})
    device.description = replace(described("pi"), python_version=(3, 6))
    with pytest.raises(MissingError, match=r"is Python 3\.6; allowed: Python 3\.7 or later; name another one"):
        set_up(device, False, silent, silent_say)
    assert device.order == ["describe"]


def test_a_full_device_keeps_the_earlier_one(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    _fetch_toy(monkeypatch, tmp_path)
    device = board({}, unpacked=28)
    with pytest.raises(DeviceFull, match="edgenet devices clean fake:pi"):
        set_up(device, True, silent, silent_say)
    assert [call.given[-1].rsplit("/", 1)[-1] for call in device.calls if call.name == "remove"][-1] == "venv.new"


def test_pip_fetches_whole_or_not_at_all(cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    chosen = Plan(("toy>=1",), ("toy",), system_numpy=False)
    target = Target("Linux", "aarch64", ("glibc", (2, 31)), (3, 9))
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    with pytest.raises(MissingError, match=r"pip could not fetch toy>=1: No matching distribution found for toy>=1"):
        wheels.fetch(chosen, target, silent)
    assert list((cache / "wheels").iterdir()) == []
    monkeypatch.setenv("PIP_FIND_LINKS", str(make_wheel(tmp_path / "toy-1.5-py3-none-any.whl", {}).parent))
    assert [path.name for path in wheels.fetch(chosen, target, silent)] == ["toy-1.5-py3-none-any.whl"]
    monkeypatch.delenv("PIP_FIND_LINKS")
    assert len(wheels.fetch(chosen, target, silent)) == 1  # kept


def test_a_requirement_is_no_option(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    target = Target("Linux", "aarch64", ("glibc", (2, 31)), (3, 9))
    with pytest.raises(MissingError, match="could not fetch --index-url"):
        wheels.fetch(Plan(("--index-url=http://127.0.0.1:9",), (), False), target, silent)


@pytest.mark.parametrize("name", PROGRAMS)
def test_the_small_programs_are_python_3_7(name: str) -> None:
    assert ast.parse(PROGRAMS[name], feature_version=(3, 7)).body
    with pytest.raises(SyntaxError):  # one that used what came later would be found
        ast.parse(PROGRAMS[name] + b"\nif (later := 1): pass\n", feature_version=(3, 7))


def test_the_tried_model_is_one_add() -> None:
    import numpy as np
    from ai_edge_litert import schema_py_generated as schema

    from converters.flatbuffer import write
    from converters.graph import GraphBuilder

    graph = GraphBuilder("probe")
    image, total = graph.tensor("x", (1, 4)), graph.tensor("y", (1, 4))
    one = graph.constant("one", np.ones((1, 4), np.float32))
    graph.op(schema.BuiltinOperator.ADD, [image, one], total, schema.AddOptionsT())
    assert base64.b64decode(try_runtimes.MODEL) == write(graph.finish({"x": image}, {"y": total}))
