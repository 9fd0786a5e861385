"""The report's page: safe with any text, complete, emulated results apart, and readable in a real browser."""

from __future__ import annotations

import json
import re
from base64 import b64encode
from dataclasses import dataclass
from hashlib import sha256
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from benchmarks.page import render_page, write_page
from benchmarks.page_drawing import Scale
from benchmarks.page_facts import MOST_OPS, measurement_facts, op_rows, state_rows
from benchmarks.page_template import TEMPLATES
from benchmarks.page_timeline import MOST_COLUMNS, columns_of, timed_samples, timeline
from benchmarks.read import parse_results
from benchmarks.result import (
    BenchmarkRecord,
    BlockRecord,
    EnergyRecord,
    OpTimeRecord,
    Setting,
    ThrottledRecord,
    WarningRecord,
)
from tests.chromium import Chromium, find_chromium
from tests.results import DEVICE, environment, measurement, result, snapshot, steady_blocks

HOSTILE = "</script><img src=x onerror=alert(1)><b title='\"&amp;{{ 7*7 }}\x1b[31m\u202e"
VOID = {"meta", "br", "input", "rect", "line", "path", "circle"}


@dataclass
class Element:
    """An element with the names of those around it."""

    name: str
    attributes: dict[str, str]
    inside: tuple[Element, ...]
    text: str = ""

    def within(self, name: str, css: str = "") -> bool:
        return any(each.name == name and css in each.attributes.get("class", "") for each in self.inside)


class Page(HTMLParser):
    """A page's elements in their order, each with all text inside it."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.elements: list[Element] = []
        self._open: list[Element] = []
        self.feed(html)
        self.close()
        assert not self._open, f"never closed: {self._open[-1].name}"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        names = [name for name, _ in attrs]
        assert len(set(names)) == len(names), f"an attribute twice in {tag}: {names}"
        element = Element(tag, {name: value or "" for name, value in attrs}, tuple(self._open))
        self.elements.append(element)
        if tag not in VOID:
            self._open.append(element)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append(Element(tag, {name: value or "" for name, value in attrs}, tuple(self._open)))

    def handle_endtag(self, tag: str) -> None:
        if tag not in VOID:
            assert self._open.pop().name == tag

    def handle_data(self, data: str) -> None:
        for element in self._open:
            element.text += data

    def all(self, name: str, css: str = "") -> list[Element]:
        return [each for each in self.elements if each.name == name and css in each.attributes.get("class", "")]


def settings(*threads: int) -> tuple[Any, ...]:
    return tuple(
        measurement(
            steady_blocks(0.02 / each), Setting(threads=each, processes=1, batch=1, affinity=(), delegate="xnnpack")
        )
        for each in threads
    )


WARNING = WarningRecord(code="governor", message="the governor was ondemand", mend="add --fix-governor")
PI5 = DEVICE.model_copy(update={"name": "attic", "model": "Raspberry Pi 5 Model B Rev 1.0"})
EMULATED = DEVICE.model_copy(update={"name": "qemu-pi", "address": "ssh://qemu"})


@pytest.fixture(scope="module")
def records() -> list[BenchmarkRecord]:
    """Return two models on two devices with several thread settings, and one on an emulated device."""
    session = result().session.model_copy(update={"command": ("edgenet", "benchmark", "a.tflite")})
    return [
        result("a", measurements=settings(1, 2, 4), warnings=(WARNING,)),
        result("b", measurements=settings(1, 2)),
        result("a", device=PI5, measurements=settings(1, 4)),
        result("a", device=EMULATED, provenance="emulated", measurements=settings(3), session=session),
    ]


@pytest.fixture(scope="module")
def page(records: list[BenchmarkRecord]) -> Page:
    return Page(render_page(records))


def hostile() -> BenchmarkRecord:
    """Return a result in which everything that a device or a file names tries to break out of its place."""
    device = {name: HOSTILE for name in ("name", "address", "host", "model", "soc", "processor", "system", "kernel")}
    ops = (OpTimeRecord(name=HOSTILE, kind=HOSTILE, mean_s=0.001, share=1.0),)
    throttled = ThrottledRecord(raw=1, now=(HOSTILE,), since_boot=(HOSTILE,))
    state = snapshot(2.0, governors=(HOSTILE,), temperatures_c={HOSTILE: 50.0}, throttled=throttled)
    setting = Setting(threads=1, processes=1, batch=1, affinity=(), delegate=HOSTILE)
    plain_result = result("h", device=DEVICE.model_copy(update=device))
    return plain_result.model_copy(
        update={
            "model": plain_result.model.model_copy(update={"file": HOSTILE.replace("/", ""), "variant": HOSTILE}),
            "session": plain_result.session.model_copy(update={"started_at": HOSTILE, "command": (HOSTILE,)}),
            "environment": environment(during=(state,), usb={HOSTILE: 5e9}, power_source=HOSTILE),
            "measurements": (measurement(setting=setting, ops=ops),),
            "warnings": (WarningRecord(code=HOSTILE, message=HOSTILE, mend=HOSTILE),),
        }
    )


def test_nothing_is_fetched_and_nothing_foreign_runs(page: Page) -> None:
    for element in page.elements:
        assert element.name not in {"link", "img", "iframe", "object", "embed", "base", "form", "use", "image"}
        assert not {"src", "style", "srcset", "xlink:href", "action"} & set(element.attributes)
        assert not [name for name in element.attributes if name.startswith("on")]
        assert element.attributes.get("href", "#").startswith("#")
    assert not re.search(r"url\(|@import|https?:", page.all("style")[0].text + page.all("script")[-1].text)


def test_the_policy_allows_the_pages_own_style_and_script_only(page: Page) -> None:
    policy = next(each for each in page.all("meta") if each.attributes.get("http-equiv") == "Content-Security-Policy")
    parts = dict(part.split(" ", 1) for part in policy.attributes["content"].split("; "))
    assert parts["default-src"] == parts["base-uri"] == parts["form-action"] == "'none'"
    assert "unsafe" not in policy.attributes["content"]
    for name, element in (("style-src", page.all("style")[0]), ("script-src", page.all("script")[-1])):
        digest = sha256(element.text.encode()).digest()
        assert parts[name] == f"'sha256-{b64encode(digest).decode()}'"
    assert page.elements.index(policy) < page.elements.index(page.all("style")[0])


def test_hostile_texts_stay_texts() -> None:
    page, benign = Page(render_page([hostile()])), Page(render_page([result("h", warnings=(WARNING,))]))
    assert {each.name for each in page.elements} == {each.name for each in benign.elements}
    body = page.all("body")[0].text
    assert "onerror=alert(1)><b title='\"&amp;{{ 7*7 }}\\x1b[31m\\u202e" in body
    shown = "".join(each.text for each in page.elements if each.name in ("section", "title", "header"))
    assert not set("\x1b\u202e") & set(shown)
    for element in page.elements:
        assert not set("\x1b\u202e") & set("".join(element.attributes.values()))


@pytest.mark.parametrize("make", [result, hostile])
def test_the_embedded_documents_are_the_results(make: Any) -> None:
    record = make()
    page = Page(render_page([record, result("z")]))
    documents = [each for each in page.all("script") if each.attributes.get("type") == "application/json"]
    embedded = [row for each in documents for row in parse_results(each.text.encode(), "embedded")]
    assert embedded == [record, result("z")]
    assert "<" not in documents[0].text


def test_every_measurement_is_in_the_summary(page: Page, records: list[BenchmarkRecord]) -> None:
    rows = [each for each in page.all("tr") if each.within("tbody") and each.within("table", "summary")]
    assert len(rows) == sum(len(record.measurements) for record in records) == 8
    cells = [[each.text for each in page.elements if row in each.inside and each.name in ("th", "td")] for row in rows]
    assert ["a.tflite", "attic", "4 threads", "5.00"] in [row[:4] for row in cells]
    assert ["a.tflite", "kitchen", "1 thread", "20.00"] in [row[:4] for row in cells]
    by_device = {row[1]: row[-1] for row in cells if row[0] == "a.tflite"}
    assert by_device == {"attic": "0", "kitchen": "1", "qemu-pi": "0"}
    assert len(page.all("h5")) == 8


def test_emulated_results_stand_apart_and_say_so(page: Page) -> None:
    measured, emulated = page.all("section", "measured")[0], page.all("section", "emulated")[0]
    assert ("qemu-pi" in measured.text, "kitchen" in emulated.text, "attic" in emulated.text) == (False, False, False)
    assert "3 threads" not in measured.text
    marked = [each for each in page.elements if each.name in ("caption", "figcaption")]
    for element in marked:
        assert element.text.startswith("emulated ") == (emulated in element.inside), element.text
    assert sum(emulated in element.inside for element in marked) == 6
    only = Page(render_page([result("a", device=EMULATED, provenance="emulated")]))
    assert "No result here was measured on a real device." in only.all("main")[0].text


def test_tables_and_pictures_can_be_heard(page: Page) -> None:
    assert all("scope" in each.attributes for each in page.all("th"))
    tables = page.all("table")
    assert sum(each.name == "caption" for each in page.elements) == len(tables)
    for picture in page.all("svg"):
        if not picture.within("svg"):
            assert picture.attributes.get("role") == "img" or picture.attributes["aria-hidden"] == "true"
            assert picture.attributes.get("aria-label", "decoration")
    assert "median 20.0 ms" in " ".join(each.attributes.get("aria-label", "") for each in page.all("svg"))
    targets = {each.attributes["id"] for each in page.elements if "id" in each.attributes}
    assert {each.attributes["href"][1:] for each in page.all("a")} <= targets


def test_warnings_come_with_their_mend_and_place(page: Page) -> None:
    (warning,) = [each for each in page.all("li") if each.within("ul", "warnings")]
    for text in (WARNING.message, WARNING.mend, WARNING.code, "a.tflite on kitchen"):
        assert text in warning.text


def _colours() -> list[dict[str, str]]:
    style = (TEMPLATES / "report.css").read_text(encoding="utf-8")
    blocks = re.findall(r":root \{(.*?)\n\s*\}", style, re.DOTALL)
    return [dict(re.findall(r"--([\w-]+): (#\w{6})", block)) for block in blocks]


@pytest.mark.parametrize("colours", _colours(), ids=["light", "dark"])
def test_text_stands_out_from_its_ground(colours: dict[str, str]) -> None:
    def luminance(colour: str) -> float:
        parts = [int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)]
        linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    def contrast(one: str, other: str) -> float:
        low, high = sorted((luminance(colours[one]), luminance(colours[other])))
        return (high + 0.05) / (low + 0.05)

    texts = [(text, ground) for text in ("text", "soft", "main") for ground in ("ground", "card")]
    texts += [
        ("bad", "ground"),
        ("bad", "bad-soft"),
        ("hatch-line", "hatch"),
        ("hatch-line", "ground"),
        ("text", "hatch"),
    ]
    assert {pair: contrast(*pair) for pair in texts if contrast(*pair) < 4.5} == {}  # WCAG 2.2, 1.4.3
    shapes = [(shape, "ground") for shape in ("bar", "main", "warm", "green", "soft")]
    assert {pair: contrast(*pair) for pair in shapes if contrast(*pair) < 3} == {}  # 1.4.11


def test_many_samples_do_not_make_a_heavy_drawing() -> None:
    few, many = (result("a", blocks=steady_blocks(blocks=20, runs=runs)) for runs in (100, 5000))
    sizes = [len(repr(timeline(record, record.measurements[0]))) for record in (few, many)]
    assert sizes[1] < 1.2 * sizes[0] < 60_000


def test_thinning_keeps_the_lowest_and_the_highest() -> None:
    samples = [0.005] * 4000
    samples[1234], samples[2345] = 0.009, 0.001
    timed = timed_samples(measurement([BlockRecord(start_s=1.0, process=0, samples_s=tuple(samples))]))
    columns = columns_of(timed, Scale(timed[0][0], timed[-1][0]), MOST_COLUMNS)
    assert len(columns) == MOST_COLUMNS
    assert (min(each.low for each in columns), max(each.high for each in columns)) == (1.0, 9.0)
    assert {each.middle for each in columns} == {5.0}


def test_pauses_between_blocks_stay_empty() -> None:
    record = result("a", blocks=steady_blocks(blocks=4, runs=200, turns=3))
    middle = next(each for each in timeline(record, record.measurements[0]).curves if each.css == "middle")
    assert middle.path.count("M") == 4


def test_throttled_time_is_marked() -> None:
    capped = ThrottledRecord(raw=2, now=("ARM frequency capped",), since_boot=())
    record = result("a", environment=environment(during=(snapshot(4.0, throttled=capped), snapshot(8.0))))
    drawing = timeline(record, record.measurements[0])
    (bar,) = [each for each in drawing.bars if each.css == "throttled"]
    assert bar.title == "ARM frequency capped"
    assert 35 < bar.x < 45  # the samples last 10 s
    assert 35 < bar.width < 45
    assert [row.during for row in state_rows(record.environment) if row.name == "Throttled now"] == [
        "ARM frequency capped, no"
    ]


def odd(name: str) -> BenchmarkRecord:
    bare = snapshot(
        governors=(), frequencies_hz=(), max_frequencies_hz=(), temperatures_c={}, throttled=None,
        memory_available_bytes=None, load_average=None,
    )  # fmt: skip
    silent = environment(before=bare, after=bare, during=())
    one = (BlockRecord(start_s=0.0, process=0, samples_s=(0.004,)),)
    equal = (BlockRecord(start_s=0.0, process=0, samples_s=(0.004,) * 500),)
    outlier = (BlockRecord(start_s=0.0, process=0, samples_s=(*[0.004] * 500, 9.0)),)
    nothing = measurement(memory=None, golden=None, ops=(), cold_starts=(), ops_note="no profiler")
    energy = EnergyRecord(source="hwmon", idle_w=None, mean_w=4.0, joule_per_inference=0.02)
    big_little = snapshot(5.0, frequencies_hz=(10**9, 2 * 10**9), temperatures_c={"a": 40.0, "b": 50.0}, power_w=3.0)
    return {
        "one sample": result(blocks=one),
        "equal samples": result(blocks=equal),
        "one far outlier": result(blocks=outlier),
        "silent device": result(environment=silent),
        "nothing but times": result(measurements=(nothing,)),
        "energy": result(measurements=(measurement(energy=energy),)),
        "two policies": result(environment=environment(during=(big_little,))),
        "frequency zero": result(environment=environment(during=(snapshot(5.0, frequencies_hz=(0,)),))),
    }[name]


@pytest.mark.parametrize(
    "name",
    [
        "one sample", "equal samples", "one far outlier", "silent device", "nothing but times", "energy",
        "two policies", "frequency zero",
    ],
)  # fmt: skip
def test_odd_results_are_drawn_too(name: str) -> None:
    html = render_page([odd(name)])
    assert Page(html).all("figure")
    assert not re.search(r'="-?(nan|inf)', html)


def test_what_is_missing_is_said() -> None:
    text = Page(render_page([odd("nothing but times")])).all("section", "measured")[0].text
    assert "the model has no golden vectors" in text
    assert "No time by op: no profiler" in text


def test_a_failed_golden_check_is_loud() -> None:
    golden = result().measurements[0].golden
    assert golden
    wrong = measurement(golden=golden.model_copy(update={"passed": False, "max_abs_error": 0.5}))
    text = Page(render_page([result(measurements=(wrong,))])).all("section", "measured")[0].text
    assert "kitchen: 1 of 1 measurements FAILED the golden check" in text
    assert "is the fastest" not in text
    assert dict(measurement_facts(wrong))["Golden check"].startswith("FAILED: these are the times of wrong answers")


def test_ops_beyond_the_slowest_are_one_row() -> None:
    ops = [OpTimeRecord(name=f"op{index}", kind="ADD", mean_s=0.001 * (index + 1), share=0.02) for index in range(50)]
    rows = op_rows(ops)
    assert len(rows) == MOST_OPS + 1
    assert (rows[0].name, rows[0].bar, rows[1].bar) == ("op49", 100, 98)
    assert (rows[-1].name, rows[-1].latency, rows[-1].share) == ("30 other ops", "465.000", "60.0")
    assert op_rows([]) == []


@pytest.mark.parametrize(
    ("scale", "wanted", "ticks"),
    [
        (Scale(0, 10), 5, [0, 2, 4, 6, 8, 10]),
        (Scale(0.28, 0.61), 4, [0.3, 0.4, 0.5, 0.6]),
        (Scale(980, 1020), 2, [980, 1000, 1020]),
        (Scale(1.2, 130, logarithmic=True), 6, [2, 5, 10, 20, 50, 100]),
        (Scale(0.9, 1200, logarithmic=True), 6, [1, 10, 100, 1000]),
    ],
)
def test_ticks_are_round(scale: Scale, wanted: int, ticks: list[float]) -> None:
    assert scale.ticks(wanted) == ticks
    assert all(0 <= scale.percent(value) <= 100 for value in ticks)


def test_a_real_browser_shows_it(records: list[BenchmarkRecord], tmp_path: Path) -> None:
    program = find_chromium()
    if program is None:
        pytest.skip("no Chromium here: apt-get install chromium")
    long_name = result("n" * 120, device=PI5.model_copy(update={"name": "d" * 90}))
    write_page([*records, hostile(), long_name], tmp_path / "report.html")
    url = (tmp_path / "report.html").as_uri()
    with Chromium(program, tmp_path / "profile") as browser:
        for width_px, height_px, dark in ((360, 800, False), (1280, 900, True)):
            browser.show(url, width_px, height_px, dark)
            browser.value("document.querySelectorAll('details').forEach(each => { each.open = true })")
            assert browser.value("document.fonts.ready.then(() => document.body.scrollWidth)") <= width_px
            assert browser.value("document.documentElement.scrollWidth <= document.documentElement.clientWidth")
            assert [each["request"]["url"] for each in browser.named("Network.requestWillBeSent")] == [url]
            assert browser.named("Log.entryAdded", "Runtime.consoleAPICalled", "Runtime.exceptionThrown") == []
            assert browser.value("getComputedStyle(document.body).colorScheme") == "light dark"
            assert (browser.value("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)") != dark
            assert browser.screenshot().startswith(b"\x89PNG")
        shown = json.loads(browser.value("document.querySelector('details[data-document] pre').textContent"))
        assert shown["model"]["file"] == "a.tflite"
        assert shown["measurements"][0]["blocks"][0]["samples_s"] == "100 samples: in the saved file"
