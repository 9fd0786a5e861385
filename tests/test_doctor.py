"""What `edgenet doctor` finds, and what it says where something is missing."""

import json
import stat
import sys
from pathlib import Path

import pytest

from edgenet.__main__ import main
from edgenet.cli import checks
from edgenet.cli.checks import Finding, all_findings


def _findings() -> dict[str, Finding]:
    return {finding.name: finding for finding in all_findings()}


def test_here_everything_required_is_found() -> None:
    required = [finding for finding in all_findings() if finding.required]
    assert {finding.name for finding in required} >= {"python", "tensorflow", "LiteRT", "pydantic"}
    assert [finding.name for finding in required if not finding.found] == []


def test_the_runtime_really_ran_with_xnnpack() -> None:
    findings = _findings()
    assert (findings["LiteRT"].found, findings["XNNPACK"].found) == ("works", "works")


def test_everything_has_a_mend() -> None:
    assert all(finding.mend and finding.purpose for finding in all_findings())


def test_a_missing_package_is_3_and_comes_with_its_command(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(checks.REQUIRED_PACKAGES, "edgenet-absent", "nothing")
    assert main(["doctor"]) == 3
    out, err = capsys.readouterr()
    assert "-m pip install edgenet-absent" in out
    assert err == "error: missing: edgenet-absent; edgenet doctor shows how to get each\n"
    assert main(["doctor", "--json"]) == 3
    document = json.loads(capsys.readouterr().out)
    assert document["ready"] is False
    row = next(row for row in document["findings"] if row["name"] == "edgenet-absent")
    assert (row["found"], row["required"]) == (None, True)


def test_a_runtime_that_dies_is_a_finding(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    dying = tmp_path / "python"
    dying.write_text("#!/bin/sh\nkill -SEGV $$\n")
    dying.chmod(stat.S_IRWXU)
    monkeypatch.setattr(sys, "executable", str(dying))
    findings = _findings()
    assert (findings["LiteRT"].found, findings["XNNPACK"].found) == ("", "")
    assert "it ended with status -11" in findings["LiteRT"].mend


def test_tools_are_looked_for_on_path(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    compiler = tmp_path / "edgetpu_compiler"
    compiler.write_text("#!/bin/sh\n")
    compiler.chmod(stat.S_IRWXU)
    monkeypatch.setenv("PATH", str(tmp_path))
    findings = _findings()
    assert findings["edgetpu_compiler"].found == str(compiler)
    assert (findings["adb"].found, findings["adb"].required) == ("", False)


def test_cached_weights_are_counted_without_a_network(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("HF_HUB_CACHE", raising=False)
    monkeypatch.setenv("HF_HOME", str(tmp_path))
    assert _findings()["hub"].found == ""
    (tmp_path / "hub" / "models--timm--tf_efficientnet_b0.in1k").mkdir(parents=True)
    assert _findings()["hub"].found == "1 in the cache"


def test_the_cache_folder_is_the_hubs_own(monkeypatch: pytest.MonkeyPatch) -> None:
    from huggingface_hub import constants

    assert checks._hub_folder() == Path(constants.HF_HUB_CACHE)


def test_json_speaks_of_the_machine(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["doctor", "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["ready"] is True
    assert document["machine"]["cores"] >= 1
    assert document["machine"]["memory_bytes"] > 2**30
    assert document["machine"]["free_disk_bytes"] > 0
