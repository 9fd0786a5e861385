"""What `edgenet devices check` finds and how it shows it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from edgenet.cli.console import emit_json, next_command, show, warn
from edgenet.errors import MissingError

if TYPE_CHECKING:
    from devices.base import Description
    from devices.probing import Findings

GIB = 2**30
TFLITE_RUNTIMES = ("ai_edge_litert", "tflite_runtime")
LEAST_FREE_BYTES = GIB  # an environment with both runtimes takes 0.4 GiB, and while it is made there are two
WIDTH = 12


@dataclass(frozen=True)
class Remark:
    """Something that is missing (`needed`) or that makes figures weak, and what to do."""

    what: str
    mend: str
    needed: bool


@dataclass(frozen=True)
class Checked:
    """All that was found; `findings` is None for a device without Python, `profile` "" where none is known."""

    device: str
    description: Description
    findings: Findings | None
    profile: str
    remarks: tuple[Remark, ...]


def check(device: str, as_json: bool) -> None:
    """Connect to a device and show what it is; raise MissingError if it lacks what `benchmark` needs."""
    checked = _look(device)
    if as_json:
        emit_json(_document(checked))
    else:
        _show(checked)
    for remark in checked.remarks:
        warn(f"{remark.what}: {remark.mend}")
    needed = [remark for remark in checked.remarks if remark.needed]
    if needed:
        raise MissingError(f"{device}: {needed[0].what}", mend=needed[0].mend)
    next_command(f"edgenet benchmark MODEL.tflite --device {device}")


def _look(device: str) -> Checked:
    from devices.inventory import resolve
    from devices.open import open_device
    from devices.probing import probe
    from devices.profiles import match

    _, entry = resolve(device)
    opened = open_device(device)
    try:
        description = opened.describe()
        findings = probe(opened, description) if description.python else None
    finally:
        opened.clean_up()
    model = description.facts.get("model", "") or (findings.model if findings else "")
    profile = entry.profile if entry and entry.profile else match(model)
    return Checked(device, description, findings, profile, _remarks(device, description, findings))


def _remarks(device: str, description: Description, findings: Findings | None) -> tuple[Remark, ...]:
    if findings is None:
        return () if description.kind == "adb" else (Remark("no Python", "sudo apt-get install python3 there", True),)
    remarks = []
    if not any(name in findings.packages for name in TFLITE_RUNTIMES):
        remarks.append(Remark("no TFLite runtime", f"edgenet devices setup {device}", description.kind != "adb"))
    slow = [governor for governor in findings.governors if governor != "performance"]
    if slow:
        mend = "edgenet benchmark --fix-governor sets performance while it measures"
        remarks.append(Remark(f"the governor is {', '.join(slow)}", mend, False))
    if findings.free_bytes < LEAST_FREE_BYTES:
        free = f"{findings.free_bytes / GIB:.1f} GiB of disk free"
        remarks.append(Remark(f"only {free}", f"make room, or edgenet devices clean {device}", False))
    return tuple(remarks)


def _facts(checked: Checked) -> Mapping[str, str]:
    description, findings = checked.description, checked.findings
    facts = {
        "address": description.address,
        "host": description.host,
        "system": f"{description.system} {description.machine}",
        **{name: text for name, text in description.facts.items() if not name.endswith("_bytes")},
        "profile": checked.profile or "none matches: edgenet devices profiles shows all",
        "home": str(description.home),
    }
    if findings is None:
        return {**facts, "python": "none"}
    return {
        **facts,
        "python": f"{description.python} ({'.'.join(map(str, findings.target.python))}, for {findings.target.machine})",
        "packages": ", ".join(f"{name} {version}" for name, version in findings.packages.items()) or "none",
        "governor": ", ".join(findings.governors) or "not told",
        "cores": str(findings.cores),
        "memory": f"{findings.memory_bytes / GIB:.1f} GiB",
        "free disk": f"{findings.free_bytes / GIB:.1f} GiB",
    }


def _show(checked: Checked) -> None:
    for name, value in _facts(checked).items():
        show(f"{name:<{WIDTH}}{value}")


def _document(checked: Checked) -> dict[str, object]:
    description, findings = checked.description, checked.findings
    return {
        "device": checked.device,
        "address": description.address,
        "kind": description.kind,
        "host": description.host,
        "system": description.system,
        "machine": description.machine,
        "home": str(description.home),
        "facts": dict(description.facts),
        "profile": checked.profile,
        "python": None if findings is None else _python_document(description, findings),
        "governors": list(findings.governors) if findings else [],
        "cores": findings.cores if findings else None,
        "memory_bytes": findings.memory_bytes if findings else None,
        "free_bytes": findings.free_bytes if findings else None,
        "ready": not any(remark.needed for remark in checked.remarks),
        "remarks": [{"what": remark.what, "mend": remark.mend} for remark in checked.remarks],
    }


def _python_document(description: Description, findings: Findings) -> dict[str, object]:
    return {
        "path": description.python,
        "version": ".".join(map(str, findings.target.python)),
        "machine": findings.target.machine,
        "libc": f"{findings.target.libc[0]} {'.'.join(map(str, findings.target.libc[1]))}",
        "packages": findings.packages,
    }
