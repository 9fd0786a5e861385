"""What a check found, as one record and as a JSON document."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from converters.check.compiled import Package
from converters.check.estimate import Estimate
from converters.check.memory import MemoryPlan
from converters.check.verdict import Place

ESTIMATED = "estimated"


@dataclass(frozen=True)
class OperatorReport:
    """One op: what it is, where it will run and why."""

    index: int
    name: str
    version: int
    layer: str
    place: Place
    reason: str
    mend: str
    own: bool  # False: an op before it decides
    macs: int  # multiply-accumulates; values times window for an op without weights

    def document(self) -> dict[str, Any]:
        """Return the op for JSON; `certain` is False where the published rules leave it open."""
        return {
            "index": self.index,
            "name": self.name,
            "version": self.version,
            "layer": self.layer,
            "status": self.place.words,
            "certain": self.place != Place.UNCERTAIN,
            "reason": self.reason,
            "mend": self.mend,
            "macs": self.macs,
        }


@dataclass(frozen=True)
class CheckReport:
    """A file held against one target."""

    file: str
    target: str
    title: str
    accelerator: str
    operators: tuple[OperatorReport, ...]
    parts: int
    refusals: tuple[str, ...]  # why the target's tool takes nothing of the file
    warnings: tuple[str, ...]
    memory: MemoryPlan | None
    estimates: tuple[Estimate, ...]
    packages: tuple[Package, ...]

    @property
    def accelerated(self) -> list[OperatorReport]:
        """Return the ops that run on the accelerator for certain."""
        return [row for row in self.operators if row.place == Place.ACCELERATED]

    @property
    def others(self) -> list[OperatorReport]:
        """Return the ops that run on the CPU, or may."""
        return [row for row in self.operators if row.place != Place.ACCELERATED]

    @property
    def uncertain(self) -> list[OperatorReport]:
        """Return the ops of which nothing published says where they run."""
        return [row for row in self.operators if row.place == Place.UNCERTAIN]

    @property
    def streamed_bytes(self) -> int:
        """Return the parameters that go to the chip with every inference."""
        if self.packages:
            return sum(package.streamed_parameter_bytes for package in self.packages)
        return self.memory.streamed_parameter_bytes if self.memory else 0

    def document(self) -> dict[str, Any]:
        """Return the report for JSON."""
        return {
            "kind": "check",
            "file": self.file,
            "target": self.target,
            "operators": len(self.operators),
            "accelerated_ops": [row.document() for row in self.accelerated],
            "cpu_ops": [row.document() for row in self.others],
            "uncertain_operators": len(self.uncertain),
            "parts": self.parts,
            "refusals": list(self.refusals),
            "warnings": list(self.warnings),
            "memory": _memory_document(self.memory),
            "latency": [_estimate_document(row) for row in self.estimates],
            "compiled": [_package_document(row) for row in self.packages],
        }


def _memory_document(memory: MemoryPlan | None) -> dict[str, Any] | None:
    return {"provenance": ESTIMATED, **asdict(memory)} if memory else None


def _estimate_document(row: Estimate) -> dict[str, Any]:
    return {"provenance": ESTIMATED, **asdict(row)}


def _package_document(package: Package) -> dict[str, Any]:
    executables = [{**asdict(row), "token": f"{row.token:016x}"} for row in package.executables]
    return {
        **asdict(package),
        "executables": executables,  # a token has 64 bits, more than many readers of JSON keep of a number
        "instruction_bytes": package.instruction_bytes,
        "cached_parameter_bytes": package.cached_parameter_bytes,
        "streamed_parameter_bytes": package.streamed_parameter_bytes,
    }
