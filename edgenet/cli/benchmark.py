"""`edgenet benchmark`: how long files take on a device, with the evidence."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from edgenet.cli.benchmark_options import (
    MOST_BATCH,
    MOST_CORE,
    MOST_PROCESSES,
    MOST_THREADS,
    Affinity,
    Batch,
    Binary,
    Cooldown,
    CsvFile,
    Delegate,
    DeviceFlag,
    FixGovernor,
    Models,
    OutFolder,
    Processes,
    ProtocolFlag,
    Threads,
    Timeout,
    whole_numbers,
)
from edgenet.cli.console import Column, emit_json, next_command, say, show, show_table, warn
from edgenet.cli.options import Json
from edgenet.cli.progress import StepProgress

if TYPE_CHECKING:
    from benchmarks.plan import Plan
    from benchmarks.result import BenchmarkRecord, EdgeTpuRecord, Provenance
    from benchmarks.table import SummaryRow

SPARK_COLUMNS = 60
ELSEWHERE = ("device", "warnings")  # columns of a report whose content stands in other lines here


def command(
    models: Models,
    device: DeviceFlag = "local",
    protocol: ProtocolFlag = "standard",
    threads: Threads = "1",
    processes: Processes = "1",
    batch: Batch = "1",
    affinity: Affinity = "",
    delegate: Delegate = "",
    cooldown: Cooldown = None,
    timeout: Timeout = 120.0,
    fix_governor: FixGovernor = False,
    binary: Binary = "",
    out: OutFolder = Path(),
    csv: CsvFile = None,
    as_json: Json = False,
) -> None:
    """Measure the latency of model files on this machine or on a device.

    Several files take turns, so that a machine's drift hits all of them alike. The golden vectors are checked on the
    device before anything is timed; every sample is kept.

    \b
    edgenet benchmark lite0-w8a8.tflite
    edgenet benchmark lite0 --device ssh://pi@raspberrypi.local --threads 1,4
    edgenet benchmark a.tflite b.tflite --device pi4 --protocol mlperf --fix-governor
    """
    from benchmarks.measure import measure, write_results
    from benchmarks.plan import Plan, find_models
    from benchmarks.protocol import parse_protocol
    from devices.open import binary_of, open_device
    from edgenet.atomic import make_folder

    settings = _settings(threads, processes, batch, affinity)
    rules = parse_protocol(protocol, cooldown)
    plan = Plan(
        find_models(tuple(models)), rules, **settings, delegate=delegate, fix_governor=fix_governor, timeout_s=timeout
    )
    opened = open_device(device)
    make_folder(out)
    _announce(plan, device)
    with StepProgress() as report:
        results = measure(opened, device, plan, ("edgenet", *sys.argv[1:]), report, binary or binary_of(device))
    paths = write_results(results, out)
    _show_results(results, csv, as_json)
    _next(paths)


def _settings(threads: str, processes: str, batch: str, affinity: str) -> dict[str, tuple[int, ...]]:
    return {
        "threads": whole_numbers("--threads", 1, MOST_THREADS)(threads),
        "processes": whole_numbers("--processes", 1, MOST_PROCESSES)(processes),
        "batches": whole_numbers("--batch", 1, MOST_BATCH)(batch),
        "affinity": whole_numbers("--affinity", 0, MOST_CORE)(affinity) if affinity else (),
    }


def _show_results(results: list[BenchmarkRecord], csv: Path | None, as_json: bool) -> None:
    from benchmarks.table import summary_rows, write_csv

    rows = summary_rows(results)
    if csv:
        write_csv(rows, csv)
    if as_json:
        emit_json({"results": [result.model_dump(mode="json") for result in results]})
    else:
        _show(rows)
    for result in results:
        for warning in result.warnings:
            warn(f"{result.model.file}: {warning.message}; {warning.mend}")


def _announce(plan: Plan, device: str) -> None:
    names = ", ".join(model.label for model in plan.models)
    count = len(plan.threads) * len(plan.processes) * len(plan.batches)
    rules = plan.protocol
    least_s = count * (len(plan.models) * (rules.min_s + rules.warmup_s * rules.cold_starts) + rules.cooldown_s)
    settings = f"{count} setting{'s' if count > 1 else ''}"
    say(f"{names} on {device}: {rules.name} protocol, {settings}, {least_s:.0f} s or more")


def _show(rows: list[SummaryRow]) -> None:
    """Show a table for measured times, and one apart for emulated ones, which say nothing of a real device."""
    from benchmarks.table import SUMMARY_HEADERS, of_provenance, sparkline, summary_cells

    provenances: tuple[Provenance, ...] = ("measured", "emulated")
    for provenance in provenances:
        chosen = of_provenance(rows, provenance)
        if not chosen:
            continue
        if provenance == "emulated":
            show("EMULATED: this device runs on an emulated processor; its times are those of the emulation")
        kept = [index for index, (header, _) in enumerate(SUMMARY_HEADERS) if header.strip() not in ELSEWHERE]
        columns = [Column(*SUMMARY_HEADERS[index]) for index in kept]
        show_table(columns, [[cells[index] for index in kept] for cells in summary_cells(chosen)])
        show()
        for row in chosen:
            samples_s = [sample for block in row.measurement.blocks for sample in block.samples_s]
            show(f"{row.model}, {row.setting}: {sparkline(samples_s, SPARK_COLUMNS)}")
            if row.result.environment.edgetpu:
                _show_edgetpu(row, row.result.environment.edgetpu)


def _show_edgetpu(row: SummaryRow, record: EdgeTpuRecord) -> None:
    """Show what a Coral's figures hang on: the first inference apart, the library's clock, the bus, equal answers."""
    from benchmarks.edgetpu_text import machine_lines, measurement_lines

    for line in (*measurement_lines(row.measurement), *machine_lines(record)):
        show(f"  {line}")


def _next(paths: list[Path]) -> None:
    for path in paths:
        say(f"written: {path}")
    if len(paths) > 1:
        next_command(shlex.join(["edgenet", "compare", *map(str, paths[:2])]))
    else:
        next_command(shlex.join(["edgenet", "report", str(paths[0].parent)]))
