"""One HTML page about a folder of results, complete in itself: no request leaves it, and tables need no script.

Pictures are inline SVG that a template writes: the same page by plotly weighs 4.8 MB more, draws nothing without
JavaScript, and its library needs a Content-Security-Policy that allows inline styles.
"""

from __future__ import annotations

import hashlib
import re
from base64 import b64encode
from collections.abc import Sequence
from pathlib import Path

from benchmarks.page_sections import sections
from benchmarks.page_template import TEMPLATES, page_template
from benchmarks.result import BenchmarkRecord
from benchmarks.table import plain
from edgenet.atomic import write_files


def render_page(results: Sequence[BenchmarkRecord]) -> str:
    """Return the page about these results."""
    style, script = ((TEMPLATES / name).read_text(encoding="utf-8") for name in ("report.css", "report.js"))
    return page_template("report.html").render(
        policy=page_policy(style, script),
        style=style,
        script=script,
        sections=sections(results),
        count=len(results),
        documents=[(_file_name(result), inert(result.model_dump_json())) for result in results],
    )


def write_page(results: Sequence[BenchmarkRecord], path: Path) -> None:
    """Write the page about these results; raise InputError for a place that cannot be written to."""
    write_files({path: render_page(results).encode()})


def page_policy(style: str, script: str) -> str:
    """Return a policy that forbids every request and every script and style but the page's own two, by their hash."""
    return (
        f"default-src 'none'; style-src '{_hash_source(style)}'; script-src '{_hash_source(script)}'; "
        "base-uri 'none'; form-action 'none'"
    )


def _hash_source(text: str) -> str:
    return f"sha256-{b64encode(hashlib.sha256(text.encode()).digest()).decode()}"


def inert(document: str) -> str:
    """Return a JSON document such that no text in it can break out of its script element: JSON needs no "<"."""
    return document.replace("<", "\\u003c")


def _file_name(result: BenchmarkRecord) -> str:
    """Return a name to save a result under that every file system takes."""
    words = (Path(result.model.file).stem, result.device.name, result.session.started_at)
    return "-".join(re.sub(r"[^A-Za-z0-9._]+", "-", plain(word)).strip("-.")[:60] for word in words) + ".benchmark.json"
