"""One session: models take turns A B A B in each setting, after warm-up, with the machine's state taken in between."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from devices.on_device.board import board_facts
from devices.on_device.edgetpu import edgetpu_devices
from devices.on_device.files import check_content, mark_used
from devices.on_device.governor import Governors
from devices.on_device.processes import MeasuringProcess, SessionFailed
from devices.on_device.state import StateReader

SNAPSHOT_EVERY_S, THROTTLING_EVERY_S = 1.0, 5.0
# A profile's runs: so many that its means are steady, but no longer than this on a slow board.
PROFILE_RUNS, PROFILE_S = 20, 5.0

Emit = Callable[[str, int, int], None]


class Session:
    """Measures a job's models; `attend` is called while it waits and raises when nobody wants the result any more."""

    def __init__(self, job: dict[str, Any], home: Path, root: Path, emit: Emit, attend: Callable[[], None]) -> None:
        self._job, self._emit, self._attend = job, emit, attend
        self._protocol: dict[str, Any] = job["protocol"]
        self._started_s = time.perf_counter()
        self._root = root
        self._state = StateReader(root, self._started_s)
        self._governors = Governors(root, home / "governors.json")
        self._during: list[dict[str, object]] = []
        self._asked_throttling_s = 0.0
        self._open: list[MeasuringProcess] = []
        self._runtimes: dict[int, dict[str, str]] = {}
        self._edgetpu: dict[str, Any] | None = None

    def measure(self) -> dict[str, object]:
        """Return the session's document; raise SessionFailed, GovernorError."""
        started_at = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        for model in self._job["models"]:
            check_content(model)
        if self._job["cached"]:
            for model in self._job["models"]:
                mark_used(model)
        self._governors.restore_left_over()
        try:
            if self._job["fix_governor"]:
                self._governors.fix()
            before = self._state.snapshot()
            measurements = [row for setting in self._settings() for row in self._measure_setting(setting)]
            after = self._state.snapshot()
        finally:
            self._close_all()
            self._governors.restore()
        return {
            "schema_version": 1,
            "kind": "runner",
            "started_at": started_at,
            "board": board_facts(self._root),
            "protocol": self._protocol,
            "environment": {
                "before": before,
                "after": after,
                "during": self._during,
                "usb": self._state.usb_bits_per_s(),
                "power_source": self._state.power_source,
                "edgetpu": self._edgetpu,
            },
            "models": [dict(row, runtime=self._runtimes[index]) for index, row in enumerate(self._job["models"])],
            "measurements": measurements,
        }

    def _settings(self) -> list[dict[str, Any]]:
        job = self._job
        names = ("processes", "batch", "threads")
        rows = itertools.product(job["processes"], job["batches"], job["threads"])
        return [dict(zip(names, row), affinity=job["affinity"]) for row in rows]  # noqa: B905  # not in Python 3.7

    def _measure_setting(self, setting: dict[str, Any]) -> list[dict[str, Any]]:
        """Measure all models in one setting, in several fresh processes each.

        Where a model comes to lie in memory moves its time by percents, for as long as its process lives: several
        processes show that, and each of their starts is a cold start.
        """
        self._wait(self._protocol["cooldown_s"])
        rows = [_empty_row(index, setting, model) for index, model in enumerate(self._job["models"])]
        begun_s, loads = time.perf_counter(), self._protocol["cold_starts"]
        for load in range(1, loads + 1):
            order = rows if load % 2 else rows[::-1]  # no model is always the first
            groups = [self._prepare(row, setting) for row in order]
            ends_s = begun_s + self._protocol["max_s"] * len(rows) * load / loads
            self._take_turns(order, groups, _step(setting), load / loads, ends_s)
            for row, group in zip(order, groups):  # noqa: B905  # not in Python 3.7
                _keep_largest(row["memory"], _asked(group[0], "memory"))
                if load == loads:
                    row.update(self._profile(row, group[0]))
            self._close_all()
        return rows

    def _profile(self, row: dict[str, Any], process: MeasuringProcess) -> dict[str, Any]:
        """Return the op times. They come last: what falls here has no measurement left to cost."""
        self._emit("profile {}".format(self._job["models"][row["model"]]["name"]), 0, 1)
        try:
            samples_s = row["blocks"][-1]["samples_s"]
            runs = int(PROFILE_S * len(samples_s) / sum(samples_s))
            return _asked(process, "profile", runs=min(PROFILE_RUNS, max(1, runs)))
        except SessionFailed as error:
            return {"ops": [], "ops_note": str(error)}

    def _close_all(self) -> None:
        while self._open:
            self._open.pop().close()

    def _prepare(self, row: dict[str, Any], setting: dict[str, Any]) -> list[MeasuringProcess]:
        """Return processes of a model that are loaded, checked if they are the first, and warm."""
        model, protocol = self._job["models"][row["model"]], self._protocol
        self._emit("load {}".format(model["name"]), 0, 1)
        group, facts = self._load(model, setting)
        row["cold_starts"].append({key: facts[key] for key in ("load_s", "first_inference_s")})
        _keep_largest(row["memory"], facts["memory"])
        if len(row["cold_starts"]) == 1:
            row["golden"] = self._golden(model["name"], group[0])
            row["delegate"].update(facts["coverage"])
            self._runtimes[row["model"]] = facts["runtime"]
            if facts["edgetpu"]:  # read now: a USB accelerator has got its firmware, and its number and speed with it
                self._edgetpu = {"library": facts["edgetpu"], "devices": edgetpu_devices(self._root)}
        self._emit("warm up {}".format(model["name"]), 0, 1)
        warm = self._block(group, protocol["warmup_s"], protocol["warmup_runs"])
        row["warmup_runs"] += len(warm[0]["samples_s"])
        row["warmup_s"] += sum(warm[0]["samples_s"])
        return group

    def _golden(self, name: str, process: MeasuringProcess) -> Any:
        golden = _asked(process, "golden")["golden"]
        if golden and not golden["passed"]:
            off, allowed = golden["max_abs_error"], golden["tolerance"]
            message = f"{name} answers wrongly on this device: logits are off by {off:.3g}, allowed {allowed:.3g}"
            raise SessionFailed("golden", message)
        return golden

    def _load(self, model: dict[str, Any], setting: dict[str, Any]) -> tuple[list[MeasuringProcess], dict[str, Any]]:
        """Return the setting's processes with the model loaded, one after the other, and what the first one told."""
        group, told = [], []
        for _ in range(setting["processes"]):
            process = MeasuringProcess(model["name"], self._job["timeout_s"], self._attend)
            self._open.append(process)
            group.append(process)
            told.append(_asked(
                process, "load", path=model["path"], delegate=model["delegate"], threads=setting["threads"],
                batch=setting["batch"], affinity=setting["affinity"], golden=model["golden"],
            ))  # fmt: skip
        return group, told[0]

    def _take_turns(
        self, rows: list[dict[str, Any]], groups: list[Any], step: str, share: float, ends_s: float
    ) -> None:
        """Give each model a block in turn until all have their share of the protocol's runs and seconds, or the end."""
        protocol = self._protocol
        while True:
            for row, group in zip(rows, groups):  # noqa: B905  # not in Python 3.7
                if len(rows) > 1:  # the first run finds the other model's data in the caches: it counts for neither
                    self._block(group, 0.0, 1)
                for process, block in enumerate(self._block(group, protocol["block_s"], 1)):
                    start_s = block["started_s"] - self._started_s
                    row["blocks"].append({"start_s": start_s, "process": process, "samples_s": block["samples_s"]})
                self._take_state()
            counts = [sum(len(block["samples_s"]) for block in row["blocks"]) for row in rows]
            times_s = [
                sum(sum(block["samples_s"]) for block in row["blocks"]) / row["setting"]["processes"] for row in rows
            ]
            done = min(min(counts) / protocol["min_runs"], min(times_s) / protocol["min_s"])
            self._emit(step, min(100, int(100 * done)), 100)
            if done >= share or time.perf_counter() > ends_s:
                return

    def _block(self, group: list[MeasuringProcess], least_s: float, least_runs: int) -> list[dict[str, Any]]:
        for process in group:
            process.ask("block", least_s=least_s, least_runs=least_runs)
        return [process.answer() for process in group]

    def _take_state(self) -> None:
        now_s = time.perf_counter() - self._started_s
        if self._during and now_s - float(str(self._during[-1]["at_s"])) < SNAPSHOT_EVERY_S:
            return
        throttling = now_s - self._asked_throttling_s >= THROTTLING_EVERY_S
        if throttling:
            self._asked_throttling_s = now_s
        self._during.append(self._state.snapshot(throttling))

    def _wait(self, pause_s: float) -> None:
        ends_s = time.monotonic() + pause_s
        while time.monotonic() < ends_s:
            self._emit("cool down", int(pause_s - (ends_s - time.monotonic())), int(pause_s))
            self._attend()
            time.sleep(min(0.5, max(0.0, ends_s - time.monotonic())))


def _step(setting: dict[str, Any]) -> str:
    words = [f"measure, {setting['threads']} thread" + ("" if setting["threads"] == 1 else "s")]
    words += [f"{setting['processes']} processes"] if setting["processes"] > 1 else []
    words += [f"batch {setting['batch']}"] if setting["batch"] > 1 else []
    return ", ".join(words)


def _empty_row(index: int, setting: dict[str, Any], model: dict[str, Any]) -> dict[str, Any]:
    return {
        "model": index,
        "setting": dict(setting, delegate=model["delegate"]),
        "delegate": {"asked": model["delegate"]},
        "cold_starts": [],
        "warmup_runs": 0,
        "warmup_s": 0.0,
        "memory": {},
        "golden": None,
        "blocks": [],
    }


def _asked(process: MeasuringProcess, do: str, **values: object) -> dict[str, Any]:
    process.ask(do, **values)
    return process.answer()


def _keep_largest(memory: dict[str, int], told: dict[str, int]) -> None:
    for key, size_bytes in told.items():
        memory[key] = max(size_bytes, memory.get(key, 0))
