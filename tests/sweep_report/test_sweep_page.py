"""The page about a sweep: safe with any text, complete without a script, and with it the same answers, in a browser."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from benchmarks.sweep.record import SweepRecord
from benchmarks.sweep_report.answer import EMULATED, NOT_EVALUATED, RANDOM, Question, ask
from benchmarks.sweep_report.choice import Bounds
from benchmarks.sweep_report.links import link
from benchmarks.sweep_report.page import render_page
from benchmarks.sweep_report.points import groups
from tests.chromium import Chromium, find_chromium
from tests.sweeps import cell, failed, large_sweep, latency, mapping, model, small_sweep, sweep, unevaluated, waiting
from tests.test_page import Page

HOSTILE = "</script><script>alert(1)</script><b title='\"&amp;{{ 7*7 }}\x1b[31m\u202e"
RUN = Path("/somewhere/run")
FRONT = Question("", Bounds())
ASKED = Question("pi4", Bounds(max_s=0.06, min_accuracy=0.74))
LARGEST_BYTES = 5_000_000
QUESTIONS = (
    Bounds(),
    Bounds(max_s=0.06, min_accuracy=0.74),
    Bounds(max_s=0.06),
    Bounds(min_accuracy=0.76),
    Bounds(max_bytes=6_000_000),
    Bounds(max_s=0.0123, min_accuracy=0.9, max_bytes=1_500_000),
    Bounds(max_s=0.0001),
    Bounds(max_s=100, min_accuracy=0.0),
)


def render(record: SweepRecord, question: Question = FRONT) -> str:
    return render_page(record, question, RUN, RUN / "report.html")


@pytest.fixture(scope="module")
def record() -> SweepRecord:
    return small_sweep()


@pytest.fixture(scope="module")
def page(record: SweepRecord) -> Page:
    return Page(render(record, ASKED))


def hostile() -> SweepRecord:
    """Return a sweep in which everything that a file, a tool or a device names tries to break out of its place."""
    names = {"file": HOSTILE, "manifest": "javascript:alert(1)", "sha256": HOSTILE, "weights": HOSTILE}
    row = latency("pi4", 0.02).model_copy(
        update={name: HOSTILE for name in ("device_model", "processor", "runtime", "protocol", "started_at")}
        | {"warnings": (HOSTILE,), "report": "../../etc/passwd"}
    )
    changes: dict[str, Any] = {
        "variant": HOSTILE, "device": HOSTILE, "latencies": (row,),
        "model": model("lite0", "w8a8").model_copy(update=names),
        "mappings": (mapping(HOSTILE).model_copy(update={"report": "/etc/passwd", "estimated_s": {HOSTILE: 0.1},
                                                         "refusal": HOSTILE}),),
    }  # fmt: skip
    broken = failed("lite0", "fp32", "pi4", HOSTILE).model_copy(update={"variant": HOSTILE, "device": HOSTILE})
    found = sweep([cell("lite0", "w8a8", "pi4").model_copy(update=changes), broken])
    return found.model_copy(update={"tool_versions": {HOSTILE: HOSTILE}})


@pytest.mark.parametrize("make", [small_sweep, hostile])
def test_nothing_is_fetched_and_nothing_foreign_runs(make: Any) -> None:
    page = Page(render(make()))
    for element in page.elements:
        assert element.name not in {"link", "img", "iframe", "object", "embed", "base", "use", "image"}
        assert not {"src", "style", "srcset", "xlink:href", "action"} & set(element.attributes)
        assert not [name for name in element.attributes if name.startswith("on")]
        assert re.match(r"[#.]", element.attributes.get("href", "#"))
    assert len(page.all("script")) == 2
    assert not re.search(
        r"url\(|@import|https?:(?!//www.w3.org/2000/svg)", page.all("style")[0].text + page.all("script")[-1].text
    )
    policy = next(each for each in page.all("meta") if each.attributes.get("http-equiv") == "Content-Security-Policy")
    assert policy.attributes["content"].startswith("default-src 'none'; style-src 'sha256-")
    assert "unsafe" not in policy.attributes["content"]


def test_hostile_texts_stay_texts() -> None:
    page = Page(render(hostile()))
    assert {each.name for each in page.elements} <= {each.name for each in Page(render(small_sweep())).elements}
    assert "</script><script>alert(1)</script><b title='\"&amp;{{ 7*7 }}\\x1b[31m\\u202e" in page.all("main")[0].text
    shown = "".join(each.text for each in page.elements if each.name in ("main", "title", "header"))
    assert not set("\x1b\u202e") & set(shown)
    data = next(each for each in page.all("script") if each.attributes.get("type") == "application/json")
    assert "<" not in data.text
    assert json.loads(data.text)["points"][0]["variant"].startswith("</script>")
    hrefs = [each.attributes["href"] for each in page.all("a")]
    assert not [href for href in hrefs if "passwd" in href]
    assert "./javascript%3Aalert%281%29" in hrefs  # a file of that name in the folder, if there is one


@pytest.mark.parametrize(
    ("path", "page", "address"),
    [
        ("models/a.manifest.json", "/run/report.html", "./models/a.manifest.json"),
        ("models/a b#?.json", "/run/report.html", "./models/a%20b%23%3F.json"),
        ("models/a.json", "/other/page.html", "../run/models/a.json"),
        ("models/a.json", "/page.html", "./run/models/a.json"),
        ("javascript:alert(1)", "/run/report.html", "./javascript%3Aalert%281%29"),
        ("//evil.example/a", "/run/report.html", ""),
        ("/etc/passwd", "/run/report.html", ""),
        ("../a", "/run/report.html", ""),
        ("models/../../a", "/run/report.html", ""),
        ("models\\..\\a", "/run/report.html", ""),
        ("models/\x00a", "/run/report.html", ""),
        ("", "/run/report.html", ""),
    ],
)
def test_links_lead_into_the_folder_only(path: str, page: str, address: str) -> None:
    assert link(path, Path("/run"), Path(page)) == address


def test_the_answer_stands_on_top(page: Page) -> None:
    assert page.all("section")[0].attributes["class"] == "answer"
    assert [each.text for each in page.all("p", "pick")] == [
        "lite2 w8a8, 4 threads: top-1 76.5 % (73.8–79.0), median 45.8 ms (45.3–46.2), 6.06 MB"
    ]
    assert [each.text for each in page.all("p", "why")] == [
        "at most 60 ms: median 45.8 ms (45.3–46.2)",
        "top-1 at least 74 %: top-1 76.5 % (73.8–79.0); the bound lies inside the 95 % interval, so that another "
        "measurement may say otherwise",
    ]
    [runner_up] = page.all("p", "runner-up")
    assert runner_up.text.startswith("runner-up: lite0 fp32, 4 threads: top-1 75.1 %")
    assert "the images do not tell the two apart" in runner_up.text


def test_without_a_question_the_front_of_each_device_is_told(record: SweepRecord) -> None:
    page = Page(render(record))
    fronts = [each.text.partition(":")[0] for each in page.all("p", "front")]
    by_group = [[point.name for point in group.front] for group in groups(record)]
    assert sorted(fronts) == sorted(name for names in by_group for name in names)
    assert [each.text for each in page.all("p", "emulation")] == [EMULATED]


def test_emulated_figures_share_nothing_with_measured_ones(record: SweepRecord, page: Page) -> None:
    measured, emulated = page.all("section", "measured")[0], page.all("section", "emulated")[0]
    assert ("qemu" in measured.text, "pi4" in emulated.text) == (False, False)
    for section, word in ((measured, "measured"), (emulated, "emulated")):
        heads = [each.text for each in page.all("th", "number") if section in each.inside]
        assert {f"Median ms{word}", f"p90 ms{word}", "Top-1 %measured", "MACs Mcomputed"} <= set(heads)
    for group in groups(record):
        providers = {row.provenance for point in group.points for row in record.cells[point.cell].latencies}
        assert providers == {group.provenance}


def test_every_measurement_has_its_row_and_its_mark(record: SweepRecord, page: Page) -> None:
    points = sum(len(group.points) for group in groups(record))
    rows = [each for each in page.all("tr") if "data-point" in each.attributes]
    assert [each.attributes["data-point"] for each in rows] == [str(number) for number in range(points)]
    assert len(page.all("g", "mark")) == 2 * points
    cells = [each.text for each in page.elements if rows[1] in each.inside and each.name in ("th", "td")]
    assert cells == ["lite0 w8a8", "4 threads", "front", "74.0 (71.2–76.6)", "96.9 (92.2–98.8)", "21.06",
                     "20.85–21.27", "22.11", "right", "4.63", "385"]  # fmt: skip


def test_failed_and_waiting_cells_are_shown_as_such(page: Page) -> None:
    items = [each.text for each in page.all("li") if each.within("ul", "left")]
    assert items == [
        "b0 fp32 on pi4 failedbenchmark: pi4: cannot connect to ssh://pi@pi4 (exit code 3)",
        "b0 w8a8 on pi4 waiting",
    ]
    assert page.all("p", "lead")[0].text.endswith("10 done, 1 failed, 1 waiting.")


def test_each_file_tells_all_with_provenance_and_links(page: Page) -> None:
    first = page.all("details", "file")[0]
    facts = {each.text for each in page.all("dt") if first in each.inside}
    assert {"Network computed", "Authors' top-1 published", "USB accelerator at USB 3 estimated", "Accuracy measured",
            "pi4, 4 threads measured", "qemu, 4 threads emulated", "On edgetpu computed"} <= facts  # fmt: skip
    hrefs = {each.text: each.attributes["href"] for each in page.all("a") if first in each.inside}
    assert hrefs == {
        "manifest": "./models/lite0-fp32.manifest.json",
        "evaluation": "./accuracy/lite0-fp32/evaluate.json",
        "check": "./checks/a.json",
        "benchmark": "./benchmarks/qemu.benchmark.json",
    }


def test_without_images_agreement_stands_in_and_says_so(record: SweepRecord) -> None:
    page = Page(render(unevaluated(record)))
    assert NOT_EVALUATED in page.all("p", "caution")[0].text
    assert {each.text for each in page.all("figcaption")} == {
        "agreement with the float network, %, over median latency, ms",
        "agreement with the float network, %, over file size, MB",
    }
    assert "top-1 measured" not in "".join(each.text for each in page.all("thead"))
    assert [each for each in page.all("label") if each.text.startswith("Top-1") and "hidden" in each.attributes]


def test_a_cell_without_accuracy_is_not_placed_by_its_agreement(record: SweepRecord) -> None:
    cells = [record.cells[0].model_copy(update={"accuracy": None}), *record.cells[1:]]
    found = groups(sweep(cells))[0]
    assert [point.accuracy for point in found.points if point.cell == 0] == [None]
    assert all(point.cell for point in found.front)


def test_wrong_answers_of_a_device_are_neither_picked_nor_hidden() -> None:
    wrong = latency("pi4", 0.001).model_copy(update={"golden": False})
    record = sweep([cell("b7", "fp32", "pi4", latencies=(wrong,)), cell("lite0", "fp32", "pi4")])
    [answer] = ask(record, Question("pi4", Bounds(max_s=1.0)))
    assert [line.text for line in answer.lines[:2]] == [
        "left out: 1 whose golden answers the device got wrong",
        "lite0 fp32, 4 threads: top-1 75.1 % (72.3–77.7), median 49.1 ms (48.7–49.6), 18.52 MB",
    ]
    assert [each.text for each in Page(render(record)).all("td", "bad")] == ["WRONG"]


def test_what_the_benchmark_warned_of_stands_beside_the_pick() -> None:
    warned = latency("pi4", 0.02).model_copy(update={"warnings": ("drift", "governor")})
    record = sweep(
        [cell("lite0", "fp32", "pi4", latencies=(warned,)), cell("lite0", "w8a8", "pi4", latencies=(warned,))]
    )
    [answer] = ask(record, Question("", Bounds(max_s=1.0)))
    assert [line.text for line in answer.lines if line.kind == "why"][
        -1
    ] == "warnings of its benchmark: drift, governor"
    assert answer.lines[-1].text.endswith("; warnings of its benchmark: drift, governor")


def test_a_device_that_gave_nothing_is_told() -> None:
    record = sweep([failed("lite0", "fp32", "pi4", "no route"), cell("lite0", "fp32", "pi5")])
    lines = {answer.group.title: [line.text for line in answer.lines] for answer in ask(record, FRONT)}
    assert list(lines) == ["pi4", "pi5"]
    assert lines["pi4"] == ["nothing here to choose from"]


def test_random_weights_are_said() -> None:
    found = cell("lite0", "fp32", "pi4", model=model("lite0", "fp32").model_copy(update={"weights": "random"}))
    assert RANDOM in Page(render(sweep([found]))).all("p", "caution")[0].text


@pytest.mark.parametrize(
    "record",
    [
        sweep([]),
        sweep([cell("lite0", "fp32"), cell("lite0", "w8a8")]),
        sweep([cell("lite0", "fp32", model=None, accuracy=None, status="waiting")], data=None),
        sweep([cell("lite0", "fp32", "pi4")]),
        sweep([cell("lite0", "fp32", "qemu")]),
        sweep([waiting("lite0", "fp32", "pi4"), cell("lite0", "fp32", "pi5")]),
    ],
    ids=["no cells", "no devices", "nothing done", "one point", "emulated only", "a device without a point"],
)
def test_odd_sweeps_are_drawn_too(record: SweepRecord) -> None:
    html = render(record)
    assert Page(html).all("h1")
    assert not re.search(r'="-?(nan|inf)', html)


def test_tables_and_pictures_can_be_heard(page: Page) -> None:
    assert all("scope" in each.attributes for each in page.all("th"))
    assert sum(each.name == "caption" for each in page.elements) == len(page.all("table"))
    for picture in page.all("svg"):
        if not picture.within("svg"):
            assert picture.attributes.get("role") == "img" or picture.attributes["aria-hidden"] == "true"
    for name in ("input", "select"):
        assert all(each.within("label") for each in page.all(name))
    assert page.all("form")[0].attributes["aria-label"]


def test_five_hundred_cells_stay_small() -> None:
    assert len(render(large_sweep()).encode()) < LARGEST_BYTES


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chromium]:
    program = find_chromium()
    if program is None:
        pytest.skip("no Chromium here: apt-get install chromium")
    with Chromium(program, tmp_path_factory.mktemp("profile")) as chromium:
        yield chromium


def show(browser: Chromium, html: str, folder: Path, width_px: int = 1280, dark: bool = False) -> str:
    (folder / "report.html").write_text(html, encoding="utf-8")
    url = (folder / "report.html").as_uri()
    browser.show(url, width_px, 900, dark)
    return url


@pytest.mark.parametrize(("width_px", "dark"), [(360, False), (861, False), (1280, True)])
@pytest.mark.parametrize("make", [small_sweep, hostile])
def test_a_real_browser_shows_it(browser: Chromium, make: Any, width_px: int, dark: bool, tmp_path: Path) -> None:
    url = show(browser, render(make()), tmp_path, width_px, dark)
    browser.value("document.querySelectorAll('details').forEach(each => { each.open = true })")
    assert browser.value("document.fonts.ready.then(() => document.body.scrollWidth)") <= width_px
    assert browser.value("document.documentElement.scrollWidth <= document.documentElement.clientWidth")
    assert browser.value(CUT_OFF) == []
    assert [each["request"]["url"] for each in browser.named("Network.requestWillBeSent")] == [url]
    assert browser.named("Log.entryAdded", "Runtime.consoleAPICalled", "Runtime.exceptionThrown") == []
    assert browser.value("document.getElementById('question').checkVisibility()")


# A group that is not laid out until it is looked at cuts off what is wider than itself, and no scroll bar tells.
CUT_OFF = """[...document.querySelectorAll("section.group")].flatMap((group) =>
  [...group.querySelectorAll("table, figure")].filter((each) => each.scrollWidth > group.clientWidth)
    .map((each) => each.className))"""


def in_javascript(bounds: Bounds) -> str:
    return json.dumps({"latency": bounds.max_s, "accuracy": bounds.min_accuracy, "size": bounds.max_bytes})


def test_the_script_gives_the_same_answers(browser: Chromium, tmp_path: Path) -> None:
    record = large_sweep()
    show(browser, render(record), tmp_path)
    for bounds in QUESTIONS:
        answers = ask(record, Question("", bounds))
        expected = [[[line.kind, line.text] for line in row.lines if line.kind != "emulation"] for row in answers]
        found = browser.value(
            "data.groups.map((_, number) => answerLines(data.points.filter((point) => point.group === number), "
            f"{in_javascript(bounds)}))"
        )
        assert found == expected, bounds


def enter(browser: Chromium, name: str, value: str) -> None:
    browser.value(
        f"form.elements['{name}'].value = '{value}', form.dispatchEvent(new Event('input', {{bubbles: true}}))"
    )


def lines(browser: Chromium, css: str) -> list[str]:
    found: list[str] = browser.value(f"[...document.querySelectorAll('#lines .{css}')].map((each) => each.textContent)")
    return found


def test_another_question_gives_another_answer(browser: Chromium, record: SweepRecord, tmp_path: Path) -> None:
    show(browser, render(record, ASKED), tmp_path)
    assert [text.partition(",")[0] for text in lines(browser, "pick")] == ["lite2 w8a8"]
    enter(browser, "latency", "30")
    assert [text.partition(",")[0] for text in lines(browser, "pick")] == ["lite0 w8a8"]
    enter(browser, "accuracy", "80")
    assert lines(browser, "none") == ["none meets the bounds"]
    assert "the nearest is lite0 w8a8" in lines(browser, "nearest")[0]
    browser.value("form.reset()")
    browser.value("new Promise((done) => setTimeout(done))")
    assert [text.partition(",")[0] for text in lines(browser, "pick")] == ["lite2 w8a8"]


@pytest.mark.parametrize(("name", "value"), [("accuracy", "101"), ("latency", "0"), ("size", "-1")])
def test_what_is_no_bound_is_refused(
    browser: Chromium, record: SweepRecord, name: str, value: str, tmp_path: Path
) -> None:
    show(browser, render(record, ASKED), tmp_path)
    enter(browser, name, value)
    assert browser.value("document.getElementById('refused').textContent").startswith(
        {"accuracy": "Top-1 at least, %: ", "latency": "At most, ms: ", "size": "At most, MB: "}[name]
    )
    assert [text.partition(",")[0] for text in lines(browser, "pick")] == ["lite2 w8a8"]
    browser.value("form.reset()")
    browser.value("new Promise((done) => setTimeout(done))")
    assert browser.value("document.getElementById('refused').textContent") == ""


def shown_rows(browser: Chromium) -> list[str]:
    found: list[str] = browser.value(
        "[...document.querySelectorAll('tr[data-point]')].filter((row) => row.checkVisibility())"
        ".map((row) => row.querySelector('th').textContent)"
    )
    return found


def test_filters_hide_and_the_front_follows(browser: Chromium, record: SweepRecord, tmp_path: Path) -> None:
    show(browser, render(record), tmp_path)
    assert len(shown_rows(browser)) == 10
    enter(browser, "device", "pi4")
    assert shown_rows(browser) == ["lite0 fp32", "lite0 w8a8", "lite2 fp32", "lite2 w8a8"]
    assert not browser.value("document.querySelector('section.emulated').checkVisibility()")
    assert lines(browser, "emulation") == []
    browser.value("form.querySelector('input[value=w8a8]').click()")
    assert shown_rows(browser) == ["lite0 fp32", "lite2 fp32"]
    front = "[...document.querySelectorAll('tr[data-point] .on-front')].filter((each) => each.textContent).length"
    assert browser.value(front) == 2  # lite0 fp32 is beaten by a w8a8 file, which is not shown now
    enter(browser, "variant", "lite2")
    assert shown_rows(browser) == ["lite2 fp32"]
    assert browser.value("document.querySelectorAll('g.mark:not([hidden])').length") == 2
    assert browser.value("document.getElementById('count').textContent") == "1 of 10 measurements shown."


def test_a_link_opens_the_file_that_it_leads_to(browser: Chromium, record: SweepRecord, tmp_path: Path) -> None:
    show(browser, render(record), tmp_path)
    browser.value("document.querySelector('tr[data-point] a').click()")
    browser.value("new Promise((done) => setTimeout(done, 50))")
    assert browser.value("document.querySelector('details.file').open")
