"""Results as rows: for a table on a terminal or on a page, for a CSV file, and as a line of little bars."""

from __future__ import annotations

import csv
import io
import math
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from statistics import median

from benchmarks.result import BenchmarkRecord, MeasurementRecord, Provenance, Setting
from edgenet.atomic import write_files

MIB = 2**20
BARS = "▁▂▃▄▅▆▇█"
USUAL_DELEGATE = "xnnpack"  # not said in a setting's words
# A spreadsheet takes a cell that begins like this for a formula, and a formula can start programs.
FORMULA_STARTS = ("=", "+", "-", "@")

Cell = str | int | float | None


@dataclass(frozen=True)
class SummaryRow:
    """One measurement of one result; `repeat` tells it from others of the same model, device and setting."""

    result: BenchmarkRecord
    measurement: MeasurementRecord
    repeat: str  # when its session began; "" where there is no other one

    @property
    def model(self) -> str:
        """The model's file."""
        return plain(self.result.model.file)

    @property
    def device(self) -> str:
        """The device, as the user named it."""
        return plain(self.result.device.name)

    @property
    def setting(self) -> str:
        """The setting, and when it was measured if that is needed to tell two apart."""
        text = setting_text(self.measurement.setting)
        return f"{text}, {plain(self.repeat)}" if self.repeat else text

    @property
    def golden(self) -> str:
        """What the golden vectors said on the device."""
        check = self.measurement.golden
        return "none" if check is None else "passed" if check.passed else "FAILED"


def plain(text: str) -> str:
    """Return a text of a file or a device as it may be shown: no control characters, no change of direction."""
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in text)


def setting_text(setting: Setting) -> str:
    """Return a setting in words; what is not said is 1, left to the system, or XNNPACK."""
    parts = ["1 thread" if setting.threads == 1 else f"{setting.threads} threads"]
    parts += [f"{setting.processes} processes"] if setting.processes != 1 else []
    parts += [f"batch {setting.batch}"] if setting.batch != 1 else []
    parts += [f"cores {' '.join(map(str, setting.affinity))}"] if setting.affinity else []
    parts += [plain(setting.delegate)] if setting.delegate != USUAL_DELEGATE else []
    return ", ".join(parts)


def summary_rows(results: Sequence[BenchmarkRecord]) -> list[SummaryRow]:
    """Return a row a measurement, emulated ones last, sorted by model, device and setting."""
    pairs = [(result, measurement) for result in results for measurement in result.measurements]
    seen = Counter(_key(*pair) for pair in pairs)
    pairs.sort(key=lambda pair: (_key(*pair), pair[0].session.started_at))
    return [SummaryRow(*pair, pair[0].session.started_at if seen[_key(*pair)] > 1 else "") for pair in pairs]


def _key(result: BenchmarkRecord, measurement: MeasurementRecord) -> tuple[object, ...]:
    setting = measurement.setting
    order = (setting.delegate, setting.batch, setting.processes, setting.threads, setting.affinity)
    return (result.provenance == "emulated", result.model.file, result.device.name, *order)


def of_provenance(rows: Sequence[SummaryRow], provenance: Provenance) -> list[SummaryRow]:
    """Return the rows that may share a table: times of an emulated device say nothing about any other."""
    return [row for row in rows if row.result.provenance == provenance]


# Header, and whether the column holds numbers. A header may have two lines.
SUMMARY_HEADERS = (
    ("\nmodel", False),
    ("\ndevice", False),
    ("\nsetting", False),
    ("median\nms", True),
    ("95 % interval\nms", True),
    ("p90\nms", True),
    ("p99\nms", True),
    ("\nimages/s", True),
    ("peak memory\nMiB", True),
    ("golden\ncheck", False),
    ("\nwarnings", True),
)


def summary_cells(rows: Sequence[SummaryRow]) -> list[list[str]]:
    """Return the cells below SUMMARY_HEADERS; all times have the same number of decimals, so that they line up."""
    digits = decimals([1e3 * row.measurement.statistics.median_s for row in rows])
    rate_digits = decimals([row.measurement.images_per_s for row in rows])
    return [_cells(row, digits, rate_digits) for row in rows]


def _cells(row: SummaryRow, digits: int, rate_digits: int) -> list[str]:
    figures, memory = row.measurement.statistics, row.measurement.memory

    def ms(seconds: float) -> str:
        return f"{1e3 * seconds:,.{digits}f}"

    return [
        row.model,
        row.device,
        row.setting,
        ms(figures.median_s),
        f"{ms(figures.median_low_s)}–{ms(figures.median_high_s)}",
        ms(figures.p90_s),
        ms(figures.p99_s),
        f"{row.measurement.images_per_s:,.{rate_digits}f}",
        "-" if memory is None else f"{memory.peak_rss_bytes / MIB:,.1f}",
        row.golden,
        str(len(row.result.warnings)),
    ]


def decimals(values: Sequence[float]) -> int:
    """Return how many decimals give the smallest of positive numbers three digits that count; three at most."""
    smallest = min((value for value in values if value > 0), default=1.0)
    return min(3, max(0, 2 - math.floor(math.log10(smallest))))


TEXTS: dict[str, Callable[[SummaryRow], str]] = {
    "provenance": lambda row: row.result.provenance,
    "session_id": lambda row: row.result.session.id,
    "started_at": lambda row: row.result.session.started_at,
    "model_file": lambda row: row.result.model.file,
    "model_sha256": lambda row: row.result.model.sha256,
    "variant": lambda row: row.result.model.variant or "",
    "precision": lambda row: row.result.model.precision or "",
    "weights": lambda row: row.result.model.weights or "",
    "device": lambda row: row.result.device.name,
    "device_model": lambda row: row.result.device.model,
    "soc": lambda row: row.result.device.soc,
    "machine": lambda row: row.result.device.machine,
    "runtime": lambda row: row.result.device.runtime.name,
    "runtime_version": lambda row: row.result.device.runtime.version,
    "runtime_sha256": lambda row: row.result.device.runtime.sha256,
    "protocol": lambda row: row.result.protocol.name,
    "delegate": lambda row: row.measurement.setting.delegate,
    "delegate_applied": lambda row: row.measurement.delegate.applied,
    "affinity": lambda row: " ".join(map(str, row.measurement.setting.affinity)),
    "golden": lambda row: row.golden.lower(),
    "warnings": lambda row: " ".join(warning.code for warning in row.result.warnings),
}
COUNTS: dict[str, Callable[[SummaryRow], int]] = {
    "threads": lambda row: row.measurement.setting.threads,
    "processes": lambda row: row.measurement.setting.processes,
    "batch": lambda row: row.measurement.setting.batch,
}
FIGURES: dict[str, Callable[[SummaryRow], Cell]] = {
    "count": lambda row: row.measurement.statistics.count,
    "median_s": lambda row: row.measurement.statistics.median_s,
    "median_low_s": lambda row: row.measurement.statistics.median_low_s,
    "median_high_s": lambda row: row.measurement.statistics.median_high_s,
    "p90_s": lambda row: row.measurement.statistics.p90_s,
    "p95_s": lambda row: row.measurement.statistics.p95_s,
    "p99_s": lambda row: row.measurement.statistics.p99_s,
    "min_s": lambda row: row.measurement.statistics.min_s,
    "max_s": lambda row: row.measurement.statistics.max_s,
    "mean_s": lambda row: row.measurement.statistics.mean_s,
    "std_s": lambda row: row.measurement.statistics.std_s,
    "outliers": lambda row: row.measurement.statistics.outliers,
    "images_per_s": lambda row: row.measurement.images_per_s,
    "load_s": lambda row: _middle([start.load_s for start in row.measurement.cold_starts]),
    "first_inference_s": lambda row: _middle([start.first_inference_s for start in row.measurement.cold_starts]),
    "peak_rss_bytes": lambda row: row.measurement.memory.peak_rss_bytes if row.measurement.memory else None,
    "joule_per_inference": lambda row: row.measurement.energy.joule_per_inference if row.measurement.energy else None,
}


def _middle(values: Sequence[float]) -> float | None:
    return median(values) if values else None


def csv_text(rows: Sequence[SummaryRow]) -> str:
    """Return one line a measurement, SI units in the headers.

    Figures of emulated devices stand in columns of their own, `emulated_...`, which come last and only where there is
    one: whoever takes the mean of a column never mixes them in.
    """
    headers = [*TEXTS, *COUNTS, *FIGURES]
    if of_provenance(rows, "emulated"):
        headers += [f"emulated_{name}" for name in FIGURES]
    out = io.StringIO()
    writer = csv.DictWriter(out, headers, restval="", lineterminator="\n")
    writer.writeheader()
    writer.writerows(_csv_line(row) for row in rows)
    return out.getvalue()


def _csv_line(row: SummaryRow) -> dict[str, Cell]:
    prefix = "emulated_" if row.result.provenance == "emulated" else ""
    texts: dict[str, Cell] = {name: no_formula(read(row)) for name, read in TEXTS.items()}
    counts: dict[str, Cell] = {name: read(row) for name, read in COUNTS.items()}
    return {**texts, **counts, **{f"{prefix}{name}": read(row) for name, read in FIGURES.items()}}


def no_formula(text: str) -> str:
    """Return a text as a cell of a CSV file that no spreadsheet takes for a formula."""
    return f"'{plain(text)}" if text.startswith(FORMULA_STARTS) else plain(text)


def write_csv(rows: Sequence[SummaryRow], path: Path) -> None:
    """Write the rows as a CSV file; raise InputError for a place that cannot be written to."""
    write_files({path: csv_text(rows).encode()})


def sparkline(samples_s: Sequence[float], columns: int) -> str:
    """Return samples over time as a line of at most `columns` bars, each the median of its share, with what the
    lowest and the highest bar stand for.
    """
    if not samples_s:
        return ""
    count = min(columns, len(samples_s))
    edges = [index * len(samples_s) // count for index in range(count + 1)]
    middles = [median(samples_s[start:end]) for start, end in pairwise(edges)]
    low, high = min(middles), max(middles)
    step = (high - low) / (len(BARS) - 1)
    bars = "".join(BARS[round((value - low) / step) if step else 0] for value in middles)
    digits = decimals([1e3 * low])
    return f"{bars} {1e3 * low:,.{digits}f}–{1e3 * high:,.{digits}f} ms"
