"""The shipped fake: answers, the order of calls, and failures at a call."""

from pathlib import Path, PurePosixPath

import pytest

from devices.base import Device, DeviceFull, DeviceLost, Finished
from devices.fake import HOME, Call, FakeDevice, Program, described, table
from devices.open import open_device
from edgenet.errors import InputError
from edgenet.progress import silent


def test_it_is_a_device(tmp_path: Path) -> None:
    device: Device = FakeDevice("pi")
    assert device.describe() == described("pi")
    assert isinstance(open_device("fake:pi"), FakeDevice)
    source, copy = tmp_path / "source", tmp_path / "copy"
    source.write_bytes(b"content")
    path = device.push(source, silent)
    device.pull(path, copy)
    assert copy.read_bytes() == b"content"
    device.remove(HOME / "files")
    with pytest.raises(InputError, match="no such file"):
        device.pull(path, copy)
    with pytest.raises(InputError):
        device.remove(PurePosixPath("/etc"))


def test_answers_and_the_order_of_calls() -> None:
    answers = {("uname",): Finished(0, "Linux\n", ""), ("uname", "-m"): Finished(0, "aarch64\n", "")}
    device = FakeDevice("pi", answer=table(answers))
    assert device.run(["uname", "-m"], 1).stdout == "aarch64\n"
    assert device.run(["uname", "-r"], 1).stdout == "Linux\n"
    assert device.run(["reboot"], 1).status == 127
    device.clean_up()
    assert device.order == ["run", "run", "run", "clean_up"]
    assert device.calls[0] == Call("run", ("uname", "-m"))


def test_a_conversation_by_script() -> None:
    program = Program(opening=["ready"], reply=lambda line: [f"got {line}"], end=Finished(0, "bye\n", ""))
    device = FakeDevice("pi", programs=[program])
    process = device.start(["runner"])
    process.send("one")
    assert list(process.lines(1)) == ["ready", "got one"]
    process.send("two")
    assert process.finish(1) == Finished(0, "got two\nbye\n", "")
    with pytest.raises(DeviceLost):
        process.send("three")
    assert device.order == ["start", "send", "lines", "send", "finish", "send"]
    assert device.start(["unknown"]).finish(1).status == 127


def test_failures_at_a_call_and_in_the_middle(tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.touch()
    lost = DeviceLost("the cable")
    device = FakeDevice("pi", failures={1: DeviceFull("full")}, programs=[Program(opening=["one", lost, "two"])])
    device.describe()
    with pytest.raises(DeviceFull):
        device.push(source, silent)
    device.push(source, silent)
    lines = device.start(["runner"]).lines(1)
    assert next(lines) == "one"
    with pytest.raises(DeviceLost):
        next(lines)
