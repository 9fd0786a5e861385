"""The closed set of warnings: what gives cause for each, what does not, and that the words say value and mend."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

from benchmarks.result import (
    BenchmarkRecord,
    DriftRecord,
    EdgeTpuDeviceRecord,
    EdgeTpuLibraryRecord,
    EdgeTpuRecord,
    ThrottledRecord,
)
from benchmarks.warnings import Code, find_warnings
from tests.results import (
    DEVICE,
    MIB,
    PROTOCOL,
    SETTING,
    Machine,
    environment,
    interleaved,
    measurement,
    result,
    snapshot,
    steady_blocks,
)

PLAIN = measurement()


def during(*snapshots: dict[str, Any], **around: Any) -> BenchmarkRecord:
    """Return a result whose snapshots during the run are changed; `around` changes those before and after."""
    rows = tuple(snapshot(4.0 + index, **changes) for index, changes in enumerate(snapshots))
    return result(environment=environment(before=snapshot(**around), during=rows, after=snapshot(12.0, **around)))


def measured(**changes: Any) -> BenchmarkRecord:
    """Return a result whose one measurement is changed."""
    return result(measurements=(PLAIN.model_copy(update=changes),))


def counted(**changes: Any) -> BenchmarkRecord:
    """Return a result whose statistics are changed."""
    return measured(statistics=PLAIN.statistics.model_copy(update=changes))


def delegated(**changes: Any) -> BenchmarkRecord:
    """Return a result whose delegate did something else."""
    return measured(delegate=PLAIN.delegate.model_copy(update=changes))


def throttled(*now: str, earlier: tuple[str, ...] = ()) -> dict[str, Any]:
    """Return the firmware's words on throttling."""
    return {"throttled": ThrottledRecord(raw=1, now=now, since_boot=earlier)}


def on(model: str) -> dict[str, Any]:
    """Return another device."""
    return {"device": DEVICE.model_copy(update={"model": model})}


def coral(chip: dict[str, Any], *snapshots: dict[str, Any]) -> BenchmarkRecord:
    """Return a result with an Edge TPU."""
    library = EdgeTpuLibraryRecord(path="", sha256="", version="", package="", clock="")
    found = EdgeTpuDeviceRecord(
        **{"bus": "usb", "place": "2-1", "node": "", "has_firmware": True, "bits_per_s": 5e9, "link": "",
           "trip_points_c": (), "warnings_c": (), **chip}
    )  # fmt: skip
    record = EdgeTpuRecord(library=library, devices=(found,))
    made = during(*snapshots)
    return made.model_copy(update={"environment": made.environment.model_copy(update={"edgetpu": record})})


USB_2 = {"bits_per_s": 480e6}
PCIE = {"bus": "pcie", "place": "apex_0", "bits_per_s": None, "trip_points_c": (84.8, 89.8, 94.8)}


@dataclass(frozen=True)
class Case:
    id: str
    make: Callable[[], BenchmarkRecord]
    code: Code
    says: str


CASES = [
    Case("Edge TPU, USB 2", lambda: coral(USB_2), Code.EDGETPU_SLOW_BUS, "slow bus (USB 2-1 at 480 Mbit/s)"),
    Case(
        "Edge TPU, hot",
        lambda: coral(PCIE, {"temperatures_c": {"Edge TPU (apex_0)": 91.1}}),
        Code.EDGETPU_HOT,
        "the Edge TPU came to 91 °C (apex_0), and its clock was halved 2 times",
    ),
    Case("emulated", lambda: result(provenance="emulated"), Code.EMULATED, "emulated (aarch64 on another processor)"),
    Case(
        "governor",
        lambda: during({"governors": ("ondemand", "performance")}),
        Code.GOVERNOR,
        "the CPU governor was ondemand: ",
    ),
    Case(
        "governor, no snapshot during the run",
        lambda: result(environment=environment(during=(), before=snapshot(governors=("powersave",)))),
        Code.GOVERNOR,
        "powersave",
    ),
    Case(
        "weak power supply",
        lambda: during({}, throttled("under-voltage", earlier=("under-voltage",))),
        Code.UNDER_VOLTAGE,
        "during the run (under-voltage)",
    ),
    Case(
        "throttled",
        lambda: during(throttled("throttled", "frequency capped"), {"throttled": None}),
        Code.THROTTLED,
        "during the run (frequency capped, throttled)",
    ),
    Case(
        "throttled before",
        lambda: during({}, **throttled(earlier=("throttled",))),
        Code.THROTTLED_EARLIER,
        "though not seen during the run (throttled)",
    ),
    Case(
        "slow clock",
        lambda: during({"frequencies_hz": (600_000_000,)}, {"frequencies_hz": (600_000_000,)}, {}),
        Code.SLOW_CLOCK,
        "600 MHz of 1800 MHz",
    ),
    Case("near its limit", lambda: during({"temperatures_c": {"cpu": 76.0}}), Code.HOT, "76 °C (cpu); .* 80 °C"),
    Case(
        "near a lower limit",
        lambda: during({"temperatures_c": {"cpu": 56.0}}).model_copy(update=on("Raspberry Pi 3 Model B Plus Rev 1.3")),
        Code.HOT,
        "56 °C .* from 60 °C",
    ),
    Case("warmed", lambda: during({"temperatures_c": {"cpu-thermal": 70.0}}), Code.WARMED, "22 °C (cpu-thermal)"),
    Case(
        "busy before",
        lambda: during({}, load_average=(1.2, 0.5, 0.1)),
        Code.OTHER_LOAD,
        "load average 1.20 on 4 cores",
    ),
    Case(
        "little memory",
        lambda: during({"memory_available_bytes": 300 * MIB}),
        Code.LITTLE_MEMORY,
        "300 MiB of 4096 MiB",
    ),
    Case(
        "drift",
        lambda: counted(drift=DriftRecord(relative_change=-0.12, p_value=0.001)),
        Code.DRIFT,
        "drifted: -12 % from first to last",
    ),
    Case("outliers", lambda: counted(outliers=150), Code.OUTLIERS, "150 of 2000"),
    Case(
        "too few runs",
        lambda: measured(**_short(40, 0.005)),
        Code.TOO_FEW_RUNS,
        "40 runs in 0.2 s of 500 in 5 s",
    ),
    Case("too short", lambda: measured(**_short(600, 0.001)), Code.TOO_FEW_RUNS, "600 runs in 0.6 s of 500 in 5 s"),
    Case("imprecise", lambda: counted(median_low_s=0.0046, median_high_s=0.0054), Code.IMPRECISE, "± 8 %"),
    Case("no delegate", lambda: delegated(applied=""), Code.DELEGATE_MISSING, "xnnpack was asked for"),
    Case(
        "part of the nodes",
        lambda: delegated(delegated_nodes=40),
        Code.DELEGATE_PARTIAL,
        "40 of 64 nodes in 1 partition",
    ),
    Case("in pieces", lambda: delegated(partitions=17), Code.DELEGATE_PARTIAL, "64 of 64 nodes in 17 partitions"),
    Case(
        "threads",
        lambda: measured(setting=SETTING.model_copy(update={"threads": 8})),
        Code.TOO_MANY_THREADS,
        "8 on 4 cores",
    ),
    Case(
        "threads on few cores",
        lambda: measured(setting=SETTING.model_copy(update={"threads": 2, "affinity": (3,)})),
        Code.TOO_MANY_THREADS,
        "2 on 1 core",
    ),
    Case("no golden vectors", lambda: measured(golden=None), Code.UNCHECKED, "no golden vectors"),
]


def _short(runs: int, run_s: float) -> dict[str, Any]:
    record = measurement(steady_blocks(run_s, 1, runs))
    return {"blocks": record.blocks, "statistics": record.statistics}


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_each_cause_gives_its_warning_alone(case: Case) -> None:
    (found,) = find_warnings(case.make())
    assert found.code == case.code.name.lower()
    for part in case.says.split(" .* "):
        assert part in found.message
    assert found.mend
    assert "{" not in found.message + found.mend


def test_every_warning_has_a_case() -> None:
    assert {case.code for case in CASES} == set(Code)


NO_CAUSE: dict[str, Callable[[], BenchmarkRecord]] = {
    "healthy": result,
    "random weights": lambda: result().model_copy(
        update={"model": result().model.model_copy(update={"weights": "random"})}
    ),
    "the governor is fixed during the run only": lambda: during({}, governors=("ondemand",)),
    "little cores idle": lambda: during(
        {"frequencies_hz": (300_000_000, 1_800_000_000), "max_frequencies_hz": (1_500_000_000, 1_800_000_000)}
    ),
    "the clock is low for a moment": lambda: during({"frequencies_hz": (600_000_000,)}, {}, {}),
    "hot, but no limit is known": lambda: during({"temperatures_c": {"cpu": 90.0}}).model_copy(update=on("A PC")),
    "nothing is known": lambda: during(
        {},
        governors=(), frequencies_hz=(), max_frequencies_hz=(), temperatures_c={}, throttled=None,
        memory_available_bytes=None, load_average=None,
    ),
    "a trend by chance": lambda: counted(drift=DriftRecord(relative_change=0.2, p_value=0.2)),
    "a tiny trend": lambda: counted(drift=DriftRecord(relative_change=0.01, p_value=0.0001)),
    "no delegate wanted": lambda: delegated(asked="cpu", applied="", delegated_nodes=0, partitions=0),
    "the two ops of uint8": lambda: delegated(nodes=62, delegated_nodes=60),
    "an Edge TPU on USB 3": lambda: coral({}),
    # Hotter than the board may get: the limit of its processor is none of the chip's.
    "a warm Edge TPU": lambda: coral(PCIE, {"temperatures_c": {"Edge TPU (apex_0)": 84.0}}),
    "an Edge TPU file": lambda: delegated(asked="edgetpu", applied="Edge TPU", nodes=3, delegated_nodes=1),
    "a runtime that tells no nodes": lambda: delegated(applied="X", nodes=None, delegated_nodes=None, partitions=None),
}  # fmt: skip


@pytest.mark.parametrize("name", NO_CAUSE)
def test_no_cause_gives_no_warning(name: str) -> None:
    assert find_warnings(NO_CAUSE[name]()) == ()


def test_settings_are_named_where_there_are_several() -> None:
    rows = [
        measurement(
            setting=SETTING.model_copy(update={"threads": threads}),
            delegate=PLAIN.delegate.model_copy(update={"applied": applied}),
        )
        for threads, applied in ((1, "XNNPACK"), (2, ""), (4, ""))
    ]
    (found,) = find_warnings(result(measurements=tuple(rows)))
    assert "xnnpack was asked for (2 threads); xnnpack was asked for (4 threads);" in found.message


def test_they_come_in_the_order_of_the_set() -> None:
    record = result(
        provenance="emulated",
        environment=environment(before=snapshot(load_average=(4.0, 4.0, 4.0)), during=(snapshot(governors=("x",)),)),
        measurements=(PLAIN.model_copy(update={"golden": None}),),
    )
    assert [row.code for row in find_warnings(record)] == ["emulated", "governor", "other_load", "unchecked"]


def test_a_disturbed_measurement_warns_by_itself() -> None:
    blocks, _ = interleaved(Machine(drift=0.3, other_work=0.2), 0)
    protocol = PROTOCOL.model_copy(update={"min_runs": 100})
    codes = {row.code for row in find_warnings(result(blocks=blocks, protocol=protocol))}
    assert {"drift", "outliers"} <= codes
