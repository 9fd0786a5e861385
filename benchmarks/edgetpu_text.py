"""What an Edge TPU's figures hang on, in lines: the first inference apart, library and clock, bus, equal answers."""

from __future__ import annotations

from collections.abc import Iterator
from statistics import median

from benchmarks.result import EdgeTpuDeviceRecord, EdgeTpuRecord, MeasurementRecord
from benchmarks.table import plain


def measurement_lines(row: MeasurementRecord) -> Iterator[str]:
    """Yield lines on one measurement: what goes to the chip once, and whether it answers as the CPU does."""
    if row.cold_starts:
        first_s = median(start.first_inference_s for start in row.cold_starts)
        steady = f"then {1e3 * row.statistics.median_s:,.2f} ms"
        yield f"first inference {1e3 * first_s:,.2f} ms (the parameters go to the chip), {steady}"
    golden = row.golden
    if golden and golden.equal_share is not None:
        equal = f"{100 * golden.equal_share:.1f} % equal to the bit"
        yield f"answers beside those of a CPU: {equal}, none off by more than {golden.most_steps} steps"


def machine_lines(record: EdgeTpuRecord) -> Iterator[str]:
    """Yield lines on the library and on each chip."""
    library = record.library
    named = library.package or library.path or "libedgetpu"
    yield plain(f"{named}: clock {library.clock or 'not known'}; {library.version or 'version not told'}")
    yield from (plain(_chip(chip)) for chip in record.devices)


def _chip(chip: EdgeTpuDeviceRecord) -> str:
    if chip.bus == "usb":
        speed = f"{chip.bits_per_s / 1e6:,.0f} Mbit/s" if chip.bits_per_s else "a speed that is not told"
        return f"USB {chip.place} at {speed}"
    limits = ", ".join(f"{limit_c:.1f}" for limit_c in chip.trip_points_c) or "not told"
    return f"PCIe {chip.place}, {chip.link or 'link not told'}; slows itself down at {limits} °C"
