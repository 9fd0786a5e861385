"""`edgenet doctor`: what is here, what is not, and the command that mends it."""

import os
import platform
import shutil
from dataclasses import asdict, dataclass
from pathlib import Path

from edgenet.cli.checks import Finding, all_findings
from edgenet.cli.console import Column, emit_json, next_command, show, show_table
from edgenet.cli.options import Json
from edgenet.errors import MissingError

GIB = 2**30
COLUMNS = (Column("name"), Column("for"), Column("found"))


@dataclass(frozen=True)
class Machine:
    """The machine that the command runs on; memory and disk in bytes."""

    system: str
    processor: str
    cores: int
    memory_bytes: int
    free_disk_bytes: int  # where the command was started


def command(as_json: Json = False) -> None:
    """Show packages, runtimes, compilers and device tools; what is missing comes with the command that gets it.

    Exits with 3 if something is missing that `convert` needs.
    """
    machine, findings = _machine(), list(all_findings())
    missing = [finding.name for finding in findings if finding.required and not finding.found]
    if as_json:
        rows = [{**asdict(finding), "found": finding.found or None} for finding in findings]
        emit_json({"ready": not missing, "machine": asdict(machine), "findings": rows})
    else:
        _show(machine, findings)
    if missing:
        raise MissingError(f"missing: {', '.join(missing)}", mend="edgenet doctor shows how to get each")
    next_command("edgenet convert --variant lite0 --int8")


def _machine() -> Machine:
    return Machine(
        system=f"{platform.system()} {platform.release()}",
        processor=platform.machine(),
        cores=_cores(),
        memory_bytes=os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"),
        free_disk_bytes=shutil.disk_usage(Path.cwd()).free,
    )


def _cores() -> int:
    """Return the cores that this process may use, which a container can make fewer than the machine has."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _show(machine: Machine, findings: list[Finding]) -> None:
    memory_gib, disk_gib = machine.memory_bytes / GIB, machine.free_disk_bytes / GIB
    show(f"{machine.system}, {machine.processor}, {machine.cores} cores, {memory_gib:.1f} GiB memory")
    show(f"{disk_gib:.1f} GiB disk free here")
    show()
    show_table(COLUMNS, [_cells(finding) for finding in findings])
    _show_mends("To get what is missing:", [row for row in findings if row.required and not row.found])
    _show_mends("Optional, and how to get it:", [row for row in findings if not row.required and not row.found])


def _show_mends(title: str, absent: list[Finding]) -> None:
    if absent:
        show()
        show(title)
    for finding in absent:
        show(f"  {finding.name}: {finding.mend}")


def _cells(finding: Finding) -> list[str]:
    absent = "MISSING" if finding.required else "-"
    return [finding.name, finding.purpose, finding.found or absent]
