"""How fast a device is by what is published of it: of its board, of another board with its processor, of its chip."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from benchmarks.board_estimate import Rates, board_rates, variant_work
from benchmarks.published_boards import BOARDS, Board
from benchmarks.published_networks import variant_graph
from converters.check.estimate import estimate, load
from converters.check.memory import plan
from converters.check.target import read_target
from devices.profiles import Fact, FactName, find_profile
from edgenet.errors import MissingError
from edgenet.layers import expand
from edgenet.precision import Precision
from edgenet.variants import Variant

# Whose arithmetic a file's is; XNNPACK unpacks 16-bit weights when it loads them. Of the others nothing is published.
ARITHMETIC: dict[Precision, str] = {"fp32": "float", "fp16": "float", "w8a8": "int8"}
EDGETPU_BUSES = {"coral-dev-board": "pcie", "coral-usb-accelerator": "usb3"}
EDGETPU_FAMILIES = ("lite", "edgetpu")  # mapped whole; those with swish or squeeze-and-excite may not be
NEEDED: tuple[FactName, ...] = ("processor", "cores", "max_frequency_hz")


@dataclass(frozen=True)
class Latency:
    """An estimated latency, and the median relative error of the method on networks it had not seen."""

    latency_s: float
    error: float


@dataclass(frozen=True)
class DeviceRates:
    """What estimates for a device rest on; `published` says whether figures of that very device are part of it."""

    profile: str
    title: str
    place: str  # what of the device runs the file
    basis: str
    published: bool
    rates: Mapping[str, Rates]  # by arithmetic; {} for an Edge TPU
    bus: str = ""  # of an Edge TPU

    def latencies(self, variant: Variant) -> dict[Precision, Latency]:
        """Return the estimated latency of a variant in each precision that there is an estimate for."""
        if self.bus:
            return _on_edgetpu(variant, self.bus)
        work = variant_work(expand(variant))
        return {
            precision: Latency(rates.latency_s(work), rates.median_error)
            for precision, arithmetic in ARITHMETIC.items()
            if (rates := self.rates.get(arithmetic))
        }

    def error_words(self) -> list[str]:
        """Return how far off the method is, arithmetic by arithmetic."""
        if self.bus:
            return [f"int8: {100 * _edgetpu_error(self.bus):.0f} % in the median, each published network left out once"]
        return [_error_words(name, rates) for name, rates in self.rates.items()]


def _error_words(arithmetic: str, rates: Rates) -> str:
    sizes = f"{100 * rates.median_error:.0f} % in the median, {100 * rates.largest_error:.0f} % at most"
    return f"{arithmetic}: {sizes}, each of {len(rates.errors)} published networks left out once"


def device_rates(profile: str) -> DeviceRates:
    """Return what is published of a kind of device; raise MissingError where that is too little for an estimate."""
    title = find_profile(profile).title
    if profile in EDGETPU_BUSES:
        bus = EDGETPU_BUSES[profile]
        basis = "Coral's published latencies of 14 classifiers, as edgenet check --target edgetpu takes them"
        return DeviceRates(profile, title, f"Edge TPU ({_edgetpu_title(bus)})", basis, True, {}, bus)
    board = next((row for row in BOARDS if row.profile == profile), None)
    if board:
        networks = len(board.float_s)
        basis = f"{networks} published latencies of this board in float, {len(board.int8_s)} in int8"
        like = f", as a factor over those of {board.like}" if board.like else ""
        place = f"{board.cores} × {board.processor}, all of them"
        return DeviceRates(profile, title, place, basis + like, True, board_rates(profile))
    return _scaled(profile, title)


def _scaled(profile: str, title: str) -> DeviceRates:
    """Return the rates of a published board with the same processor, scaled by cores and clock."""
    facts = find_profile(profile).facts
    missing = [name for name in NEEDED if name not in facts]
    if missing:
        raise _too_little(profile, f"its profile does not say {', '.join(missing)}")
    processor, cores = str(facts["processor"].value), facts["cores"].value
    clocks = _clocks(facts["max_frequency_hz"])
    if len(clocks) != 1 or not isinstance(cores, int):
        raise _too_little(profile, f"it has several kinds of cores ({processor})")
    board = next((row for row in BOARDS if row.processor == processor), None)
    if board is None:
        known = ", ".join(row.processor for row in BOARDS)
        raise _too_little(profile, f"nothing is published of a board with {processor}, only of {known}")
    factor = _speed(board) / (cores * clocks[0])
    rates = {name: row.slower(factor) for name, row in board_rates(board.profile).items()}
    basis = f"no published row for this device: {board.profile} has the same {processor}, scaled by cores and clock"
    return DeviceRates(profile, title, f"{cores} × {processor}, all of them", basis, False, rates)


def _clocks(fact: Fact) -> list[int]:
    return fact.value if isinstance(fact.value, list) else []


def _speed(board: Board) -> int:
    return board.cores * board.frequency_hz


def _too_little(profile: str, why: str) -> MissingError:
    mend = "measure instead: edgenet sweep or edgenet benchmark with --device"
    return MissingError(f"nothing can be estimated for {profile}: {why}", mend=mend)


def _edgetpu_title(bus: str) -> str:
    data = read_target("edgetpu").estimate
    return data.buses[bus].title if data else ""


def _edgetpu_error(bus: str) -> float:
    data = read_target("edgetpu").estimate
    return data.buses[bus].median_error if data else 0.0


def _on_edgetpu(variant: Variant, bus: str) -> dict[Precision, Latency]:
    target = read_target("edgetpu")
    if variant.family not in EDGETPU_FAMILIES or not target.memory or not target.estimate:
        return {}
    operators = variant_graph(variant).operators
    rows = estimate(load(operators, (), plan(operators, target.memory)), target.estimate)
    [row] = [row for row in rows if row.bus == bus]
    return {"w8a8": Latency(row.latency_s, row.median_error)}
