"""What is known of one file, each figure with where it comes from."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from benchmarks.accuracy.record import ShareRecord
from benchmarks.page_plots import milliseconds
from benchmarks.sweep.record import AccuracyRecord, CellRecord, LatencyRecord, MappingRecord, SweptModelRecord
from benchmarks.sweep_report.words import megabytes, percent
from benchmarks.table import MIB, plain, setting_text
from edgenet.published import PUBLISHED

IMAGENET = 1000  # classes that published accuracies are about


@dataclass(frozen=True)
class Fact:
    """A line about a file; `source` is measured, emulated, computed, estimated, published, or "" for no figure."""

    name: str
    source: str
    text: str
    path: str = ""  # of the file in the sweep's folder that says more
    path_words: str = ""


def file_facts(cells: Sequence[CellRecord]) -> list[Fact]:
    """Return everything about one file, whose cells differ in the device alone; what several say stands there once."""
    facts = [fact for cell in cells for fact in _cell_facts(cell)]
    return list(dict.fromkeys([*facts, *(fact for cell in cells for fact in _latency_facts(cell))]))


def _cell_facts(cell: CellRecord) -> list[Fact]:
    facts = [*_model_facts(cell.model)] if cell.model else []
    facts += _published(cell)
    facts += _accuracy_facts(cell.accuracy) if cell.accuracy else []
    return facts + [fact for row in cell.mappings for fact in _mapping_facts(row)]


def _model_facts(model: SweptModelRecord) -> Iterator[Fact]:
    yield Fact("File", "measured", f"{plain(model.file)}, {megabytes(model.size_bytes)}", model.manifest, "manifest")
    yield Fact("Hash", "", f"sha256 {plain(model.sha256)}")
    counts = f"{model.parameters / 1e6:.2f} M parameters, {model.macs / 1e6:,.0f} M multiply-accumulates"
    yield Fact("Network", "computed", f"{counts}; {model.side_px} px, {model.num_classes} classes")
    yield Fact("Weights", "", plain(model.weights))
    held = model.verification
    if held:
        share = f"{percent(held.agreement)} % ({percent(held.agreement_low)}–{percent(held.agreement_high)})"
        text = f"{share} same top-1 as the float network on {held.images} images ({plain(held.probe)})"
        yield Fact("Verification", "measured", f"{text}; {_sqnr(held.sqnr_db)}")


def _sqnr(sqnr_db: float | None) -> str:
    return "logits equal" if sqnr_db is None else f"logit SQNR {sqnr_db:.1f} dB"


def _published(cell: CellRecord) -> Iterator[Fact]:
    row = PUBLISHED.get(cell.variant)
    if row and cell.model and cell.model.num_classes == IMAGENET:
        int8 = "" if row.int8_top1_percent is None else f", int8 {row.int8_top1_percent:.1f} %"
        text = f"float {row.top1_percent:.1f} %{int8}: all of ImageNet's validation images, {row.source}"
        yield Fact("Authors' top-1", "published", text)


def _accuracy_facts(row: AccuracyRecord) -> Iterator[Fact]:
    text = f"top-1 {share_words(row.top1)}, top-5 {share_words(row.top5)} on {row.images} images"
    error = f"calibration error {percent(row.calibration_error)} %"
    yield Fact("Accuracy", "measured", f"{text}; {error}", row.report, "evaluation")
    if row.agreement:
        held = row.agreement
        drop = f"drop {held.drop_points:.1f} points ({held.drop_low_points:.1f} to {held.drop_high_points:.1f})"
        text = f"{share_words(held.same_top1)} same top-1 as {plain(held.reference)}, {drop}; {_sqnr(held.sqnr_db)}"
        yield Fact("Against float", "measured", text)


def share_words(share: ShareRecord) -> str:
    """Return a share with its interval."""
    return f"{percent(share.fraction)} % ({percent(share.low)}–{percent(share.high)})"


def _mapping_facts(row: MappingRecord) -> Iterator[Fact]:
    doubt = f", {row.uncertain} uncertain" if row.uncertain else ""
    refused = f"; {plain(row.refusal)}" if row.refusal else ""
    text = f"{row.accelerated} of {row.operators} ops on the accelerator by the published rules{doubt}{refused}"
    yield Fact(f"On {plain(row.target)}", "computed", text, row.report, "check")
    for machine, latency_s in row.estimated_s.items():
        yield Fact(plain(machine), "estimated", f"{milliseconds(latency_s)}, measured by nobody")


def _latency_facts(cell: CellRecord) -> list[Fact]:
    return [_latency_fact(row, plain(cell.device or "")) for row in cell.latencies]


def _latency_fact(row: LatencyRecord, device: str) -> Fact:
    interval = f"{milliseconds(row.low_s).removesuffix(' ms')}–{milliseconds(row.high_s)}"
    times = f"median {milliseconds(row.median_s)} ({interval}), p90 {milliseconds(row.p90_s)}"
    memory = "" if row.peak_rss_bytes is None else f", peak memory {row.peak_rss_bytes / MIB:,.0f} MiB"
    figures = f"{times}, {row.images_per_s:,.1f} images/s{memory}"
    golden = {None: "golden answers not asked for", True: "golden answers right", False: "golden answers WRONG"}
    place = f"{plain(row.device_model)}, {plain(row.processor)}, {plain(row.runtime)}, {plain(row.protocol)} protocol"
    warned = f"; warnings: {', '.join(map(plain, row.warnings))}" if row.warnings else ""
    text = f"{figures}; {golden[row.golden]}; {place}, {plain(row.started_at)}{warned}"
    return Fact(f"{device}, {setting_text(row.setting)}", row.provenance, text, row.report, "benchmark")
