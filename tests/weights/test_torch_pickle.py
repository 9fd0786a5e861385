"""PyTorch checkpoints: both formats, every storage type, strides, wrappers; and everything hostile is refused."""

import os
import pickle
import struct
import zipfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from edgenet.errors import EdgenetError, InputError
from edgenet.weights.torch_pickle import read_torch
from tests.weights.torch_files import (
    MARK,
    PROTOCOL,
    REDUCE,
    STOP,
    TUPLE,
    Tensor,
    code,
    legacy_bytes,
    named,
    plain,
    whole,
    write,
    zip_bytes,
)

VALUES = np.arange(24, dtype=np.float32).reshape(2, 3, 4)


def bfloat16(array: NDArray[np.float32]) -> bytes:
    """Return the upper halves of float32 values."""
    return (array.view(np.uint32) >> 16).astype("<u2").tobytes()


# Storage type -> how VALUES look in it.
STORED = {
    "float32": VALUES.tobytes(),
    "float64": VALUES.astype("<f8").tobytes(),
    "float16": VALUES.astype("<f2").tobytes(),
    "bfloat16": bfloat16(VALUES),
    "int64": VALUES.astype("<i8").tobytes(),
    "uint8": VALUES.astype("u1").tobytes(),
    "bool": VALUES.astype("?").tobytes(),
}


@pytest.mark.parametrize("dtype", STORED)
def test_every_storage_type_becomes_float32_in_both_formats(dtype: str, tmp_path: Path) -> None:
    tensor, data = whole("0", VALUES, dtype), STORED[dtype]
    zipped = read_torch(write(tmp_path / "a.pth", zip_bytes({"w": tensor}, {"0": data})))
    legacy = read_torch(write(tmp_path / "b.pth", legacy_bytes({"w": tensor}, {"0": (VALUES.size, data)})))
    for checkpoint in (zipped, legacy):
        assert checkpoint.tensors["w"].dtype == np.float32
        np.testing.assert_array_equal(checkpoint.tensors["w"], VALUES != 0 if dtype == "bool" else VALUES)
        assert checkpoint.notes == ()


def test_strides_and_offsets_are_honoured(tmp_path: Path) -> None:
    transposed = Tensor("0", "FloatStorage", 24, 0, (4, 3), (1, 4))
    tail = Tensor("0", "FloatStorage", 24, 20, (2, 2), (2, 1))
    repeated = Tensor("0", "FloatStorage", 24, 5, (30, 2), (0, 1))
    root = {"transposed": transposed, "tail": tail, "repeated": repeated}
    tensors = read_torch(write(tmp_path / "a.pt", zip_bytes(root, {"0": VALUES.tobytes()}))).tensors
    np.testing.assert_array_equal(tensors["transposed"], np.arange(12, dtype=np.float32).reshape(3, 4).T)
    np.testing.assert_array_equal(tensors["tail"], [[20, 21], [22, 23]])
    np.testing.assert_array_equal(tensors["repeated"], [[5, 6]] * 30)


def test_a_legacy_view_starts_where_its_metadata_says(tmp_path: Path) -> None:
    view = Tensor("root", "FloatStorage", 24, 1, (2,), (1,), view=("part", 10, 4))
    file = write(tmp_path / "a.pth", legacy_bytes({"w": view}, {"root": (24, VALUES.tobytes())}))
    np.testing.assert_array_equal(read_torch(file).tensors["w"], [11, 12])


def test_scalars_and_empty_tensors(tmp_path: Path) -> None:
    root = {
        "scalar": Tensor("0", "LongStorage", 1, 0, (), ()),
        "none": Tensor("0", "LongStorage", 1, 0, (0, 3), (3, 1)),
    }
    tensors = read_torch(write(tmp_path / "a.pth", zip_bytes(root, {"0": struct.pack("<q", 7)}))).tensors
    assert tensors["scalar"].shape == () and tensors["scalar"] == 7
    assert tensors["none"].shape == (0, 3)


def test_parameters_and_version_numbers_are_passed_through(tmp_path: Path) -> None:
    arguments = MARK + code(whole("0", VALUES)) + plain(True) + plain({}) + TUPLE
    parameter = named("torch._utils", "_rebuild_parameter") + arguments + REDUCE
    state = code({"w": parameter}) + plain({"_metadata": {"": {"version": 1}}}) + b"b"
    tensors = read_torch(write(tmp_path / "a.pth", zip_bytes(state, {"0": VALUES.tobytes()}))).tensors
    np.testing.assert_array_equal(tensors["w"], VALUES)


@dataclass(frozen=True)
class Wrapped:
    """A checkpoint around {"w": tensor} and what is said about it."""

    id: str
    wrap: Callable[[Tensor], object]
    note: str


WRAPPED = [
    Wrapped("state_dict", lambda t: {"epoch": 3, "state_dict": {"w": t}}, "used 'state_dict' of the checkpoint"),
    Wrapped("model", lambda t: {"model": {"w": t}}, "used 'model'"),
    Wrapped("averaged first", lambda t: {"state_dict": {"v": t}, "state_dict_ema": {"w": t}}, "used 'state_dict_ema'"),
    Wrapped("empty average", lambda t: {"state_dict_ema": None, "state_dict": {"w": t}}, "used 'state_dict'"),
    Wrapped("nested", lambda t: {"model": {"state_dict": {"w": t}}}, "used 'state_dict'"),
    Wrapped("data parallel", lambda t: {"module.w": t}, "took 'module.' off every name"),
    Wrapped("compiled", lambda t: {"state_dict": {"module._orig_mod.w": t}}, "took '_orig_mod.' off every name"),
]


@pytest.mark.parametrize("case", WRAPPED, ids=lambda case: case.id)
def test_wrapped_state_dicts_are_found_and_noted(case: Wrapped, tmp_path: Path) -> None:
    file = write(tmp_path / "a.pth", zip_bytes(case.wrap(whole("0", VALUES)), {"0": VALUES.tobytes()}))
    checkpoint = read_torch(file)
    assert list(checkpoint.tensors) == ["w"]
    assert any(case.note in note for note in checkpoint.notes)


# Global asked for -> the arguments of the call. Each would run code under Python's own pickle.
MALICIOUS = {
    "os.system": ("echo broken > broken",),
    "posix.system": ("echo broken > broken",),
    "builtins.eval": ("open('broken', 'w')",),
    "builtins.exec": ("open('broken', 'w')",),
    "builtins.getattr": ("os", "system"),
    "__builtin__.open": ("broken", "w"),
    "subprocess.Popen": ("true",),
    "torch.load": ("x",),
    "torch.hub.load": ("x",),
    "torch._utils._rebuild_tensor_v3": (),
    "collections.Counter": (),
    "timm.models.efficientnet.EfficientNet": (),
    "argparse.Namespace": (),
}


@pytest.mark.parametrize("name", MALICIOUS)
@pytest.mark.parametrize("legacy", [False, True], ids=["zip", "legacy"])
def test_any_other_global_is_refused_by_name(
    name: str, legacy: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    module, _, function = name.rpartition(".")
    payload = named(module, function) + plain(MALICIOUS[name]) + REDUCE
    data = legacy_bytes({"w": payload}, {}) if legacy else zip_bytes({"w": payload}, {})
    with pytest.raises(InputError, match=f"'{name}'.*state_dict"):
        read_torch(write(tmp_path / "evil.pth", data))
    assert [path.name for path in tmp_path.iterdir()] == ["evil.pth"]


class Evil:
    """An object whose unpickling runs a command."""

    def __reduce__(self) -> tuple[Callable[[str], int], tuple[str]]:
        return os.system, ("echo broken > broken",)


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_pythons_own_malicious_pickles_are_refused(
    protocol: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    evil = pickle.dumps({"w": Evil()}, protocol)
    with zipfile.ZipFile(tmp_path / "evil.pth", "w") as archive:
        archive.writestr("archive/data.pkl", evil)
    write(tmp_path / "bare.pth", evil)
    for name in ("evil.pth", "bare.pth"):
        with pytest.raises(InputError, match=r"system'|pickle instruction"):
            read_torch(tmp_path / name)
    assert not (tmp_path / "broken").exists()


# What -> instructions that do it with allowed globals only.
MISUSES = {
    "calls a storage type": named("torch", "FloatStorage") + b")" + REDUCE,
    "calls a number": plain(3) + b")" + REDUCE,
    "sets attributes": named("torch._utils", "_rebuild_tensor_v2") + plain({"__defaults__": ()}) + b"b",
    "odd arguments": named("torch._utils", "_rebuild_tensor_v2") + plain((1, 2)) + REDUCE,
    "no storage": named("torch._utils", "_rebuild_tensor_v2") + plain((1, 0, (1,), (1,))) + REDUCE,
    "dict from numbers": named("collections", "OrderedDict") + plain(([1, 2],)) + REDUCE,
    "tuple as key": b"}" + plain(((1, 2), 3)) + plain(1) + b"s",
    "NEWOBJ": named("collections", "OrderedDict") + b")\x81",
    "INST": MARK + b"ios\nsystem\n",
    "extension": b"\x82\x01",
    "bytearray of a petabyte": b"\x96" + struct.pack("<Q", 2**50),
    "persistent text id": b"Pstorage\n",
    "persistent number": plain(3) + b"Q",
    "unknown storage": MARK + plain("storage") + plain("x") + TUPLE + b"Q",
}


@pytest.mark.parametrize("instructions", MISUSES.values(), ids=MISUSES.keys())
def test_misuse_of_the_machine_is_refused(instructions: bytes, tmp_path: Path) -> None:
    with pytest.raises(InputError):
        read_torch(write(tmp_path / "a.pth", zip_bytes({"w": instructions}, {})))


HONEST = Tensor("0", "FloatStorage", 24, 0, (24,), (1,))
OUTSIDE = {
    "offset past the end": replace(HONEST, offset=1),
    "huge offset": replace(HONEST, offset=2**40, size=(1,)),
    "negative offset": replace(HONEST, offset=-1),
    "huge size": replace(HONEST, size=(2**40,)),
    "huge repeated size": replace(HONEST, size=(2**40,), stride=(0,)),
    "negative size": replace(HONEST, size=(-24,)),
    "negative stride": replace(HONEST, stride=(-1,)),
    "huge stride": replace(HONEST, size=(2,), stride=(2**40,)),
    "two strides for one side": replace(HONEST, stride=(1, 1)),
    "too many sides": replace(HONEST, size=(1,) * 40, stride=(1,) * 40),
    "claims a larger storage": replace(HONEST, numel=25, size=(25,)),
    "claims a huge storage": replace(HONEST, numel=2**60, size=(2,)),
    "negative storage": replace(HONEST, numel=-1),
    "storage that is not there": replace(HONEST, key="1"),
    "wider type than stored": replace(HONEST, storage="DoubleStorage"),
}


@pytest.mark.parametrize("tensor", OUTSIDE.values(), ids=OUTSIDE.keys())
def test_a_tensor_outside_its_storage_is_refused(tensor: Tensor, tmp_path: Path) -> None:
    with pytest.raises(InputError):
        read_torch(write(tmp_path / "a.pth", zip_bytes({"w": tensor}, {"0": VALUES.tobytes()})))
    with pytest.raises(InputError):
        read_torch(write(tmp_path / "b.pth", legacy_bytes({"w": tensor}, {"0": (24, VALUES.tobytes())})))


def test_one_storage_repeated_many_times_is_refused(tmp_path: Path) -> None:
    big = Tensor("0", "FloatStorage", 2**14, 0, (2**14,), (1,))
    data = zip_bytes({f"w{number}": big for number in range(20)}, {"0": bytes(2**16)})
    with pytest.raises(InputError, match="more values than"):
        read_torch(write(tmp_path / "a.pth", data))


def test_a_dict_that_holds_itself_ends(tmp_path: Path) -> None:
    itself = b"}q\x00" + plain("model") + b"h\x00s"
    with pytest.raises(InputError, match="no state dict"):
        read_torch(write(tmp_path / "a.pth", zip_bytes(itself, {})))


@pytest.mark.parametrize("legacy", [False, True], ids=["zip", "legacy"])
def test_a_file_cut_short_anywhere_is_refused(legacy: bool, tmp_path: Path) -> None:
    tensor = whole("0", VALUES)
    data = (
        legacy_bytes({"w": tensor}, {"0": (24, VALUES.tobytes())})
        if legacy
        else zip_bytes({"w": tensor}, {"0": VALUES.tobytes()})
    )
    for length in range(0, len(data), 7):
        with pytest.raises(InputError):
            read_torch(write(tmp_path / "a.pth", data[:length]))


def test_zip_bombs_are_refused(tmp_path: Path) -> None:
    tensor = Tensor("0", "FloatStorage", 2**22, 0, (2**22,), (1,))
    bomb = zip_bytes({"w": tensor}, {"0": b"\0" * 2**24}, zipfile.ZIP_DEFLATED)
    assert len(bomb) < 2**16
    with pytest.raises(InputError, match="compressed"):
        read_torch(write(tmp_path / "bomb.pth", bomb))


def test_what_is_no_checkpoint_is_refused(tmp_path: Path) -> None:
    big_endian = zip_bytes({"w": whole("0", VALUES)}, {"0": VALUES.tobytes()}).replace(b"little", b"bigger")
    with zipfile.ZipFile(tmp_path / "other.pth", "w") as archive:
        archive.writestr("readme", "hello")
    for name, data in {"big.pth": big_endian, "text.pth": b"hello", "zeros.pth": b"\0" * 99, "none.pth": b""}.items():
        write(tmp_path / name, data)
    for name in ("big.pth", "text.pth", "zeros.pth", "none.pth", "other.pth", "absent.pth"):
        with pytest.raises(InputError, match=name):
            read_torch(tmp_path / name)


def test_a_state_dict_with_something_else_in_it_is_refused(tmp_path: Path) -> None:
    file = write(tmp_path / "a.pth", zip_bytes({"w": whole("0", VALUES), "note": "hi"}, {"0": VALUES.tobytes()}))
    with pytest.raises(InputError, match="'note' in its state dict is no tensor"):
        read_torch(file)


ZIPPED = zip_bytes({"state_dict": {"module.w": whole("0", VALUES)}}, {"0": VALUES.tobytes()})
LEGACY = legacy_bytes({"w": whole("0", VALUES)}, {"0": (24, VALUES.tobytes())})


@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.sampled_from([ZIPPED, LEGACY]), st.data())
def test_mutated_bytes_raise_nothing_but_our_error(tmp_path: Path, honest: bytes, data: st.DataObject) -> None:
    mutated = bytearray(honest)
    for at in data.draw(st.lists(st.integers(0, len(honest) - 1), min_size=1, max_size=6)):
        mutated[at] = data.draw(st.integers(0, 255))
    try:
        checkpoint = read_torch(write(tmp_path / "mutated.pth", bytes(mutated)))
    except EdgenetError:
        return
    assert all(tensor.dtype == np.float32 for tensor in checkpoint.tensors.values())


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.binary(max_size=60))
def test_arbitrary_instructions_raise_nothing_but_our_error(tmp_path: Path, instructions: bytes) -> None:
    with zipfile.ZipFile(tmp_path / "a.pth", "w") as archive:
        archive.writestr("archive/data.pkl", PROTOCOL + instructions + STOP)
    with pytest.raises(EdgenetError):
        read_torch(tmp_path / "a.pth")
