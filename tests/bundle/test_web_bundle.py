"""The web page of a bundle in a real browser: it sees and answers as Python does, works offline, and asks nobody."""

import base64
import gzip
import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from converters.runtime import load_runner
from edgenet.bundle import web_runtime
from edgenet.bundle.check import check_bundle
from edgenet.bundle.make import make_bundle
from edgenet.bundle.web_page import IMPORT_MAP
from edgenet.errors import InputError, MissingError
from edgenet.photos import open_upright
from edgenet.preprocessing import crop_photo
from tests.bundle.odd_pictures import ODD, write_odd_pictures
from tests.bundle.small import (
    FILTERS,
    LABELS,
    RULES,
    artifact_with_ends,
    rendered,
    small_artifact,
    small_bundle,
    small_content,
    small_wishes,
)
from tests.bundle.static_server import StaticServer
from tests.chromium import Chromium, find_chromium

LONGEST_S = 50.0
PHONE, DESKTOP = (390, 844), (1100, 900)
# A page without the page's own script, for questions to its modules.
PROBE = f"""<!doctype html><body><script type="importmap">{IMPORT_MAP}</script><script type="module">
import {{ Classifier }} from "./classifier.js";
import {{ decode, see }} from "./photos.js";
const blob = async (path) => (await fetch(path)).blob();
const text = (bytes) => btoa(bytes.reduce((all, byte) => all + String.fromCharCode(byte), ""));
window.seen = async (path, module) => {{
  const own = module ? await import(module) : {{ decode, see }};
  const picture = await own.decode(await blob(path));
  return text(own.see(picture, picture.width, picture.height));
}};
window.logits = async (path) => {{
  window.classifier ??= await Classifier.load();
  const picture = await decode(await blob(path));
  return Array.from(await window.classifier.logits(see(picture, picture.width, picture.height)));
}};
document.body.dataset.ready = "yes";
</script>""".encode()


@pytest.fixture(scope="module")
def program() -> str:
    """Return the browser, where there is one, and the runtime can be had."""
    found = find_chromium()
    if found is None:
        pytest.skip("needs chromium")
    try:
        web_runtime.runtime_files("")
    except MissingError as error:
        pytest.skip(str(error))
    return found


@pytest.fixture(scope="module")
def bundle(program: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the page of a small network."""
    return small_bundle(tmp_path_factory.mktemp("web"), "web").path


@pytest.fixture
def browser(program: str, tmp_path: Path) -> Iterator[Chromium]:
    """Return an empty browser."""
    with Chromium(program, tmp_path / "profile") as chromium:
        yield chromium


def _wait(browser: Chromium, expression: str) -> None:
    """Wait until an expression is true on the page."""
    end = time.monotonic() + LONGEST_S
    while not browser.value(f"Boolean({expression})"):
        assert time.monotonic() < end, browser.value("document.body.innerText")
        time.sleep(0.05)


def _open(browser: Chromium, server: StaticServer, size: tuple[int, int] = DESKTOP) -> None:
    browser.show(server.url, *size, dark=False)
    _wait(browser, "document.documentElement.dataset.readyMs || document.querySelector('#status.alarm')")


def _choose(browser: Chromium, path: Path) -> None:
    """Choose a file as a user does."""
    node = browser.send("DOM.querySelector", nodeId=browser.send("DOM.getDocument")["root"]["nodeId"], selector="#file")
    browser.send("DOM.setFileInputFiles", files=[str(path)], nodeId=node["nodeId"])


def _complaints(browser: Chromium) -> list[Any]:
    """Return what a developer's console would show in red."""
    logged = [row["entry"] for row in browser.named("Log.entryAdded") if row["entry"]["level"] == "error"]
    called = [row for row in browser.named("Runtime.consoleAPICalled") if row["type"] in ("error", "assert")]
    return [*logged, *called, *browser.named("Runtime.exceptionThrown")]


def _answers(browser: Chromium) -> list[str]:
    words: list[str] = browser.value("[...document.querySelectorAll('#answers .label')].map((row) => row.textContent)")
    return words


def test_the_page_starts_answers_and_asks_nobody(browser: Chromium, bundle: Path, tmp_path: Path) -> None:
    [photo] = write_odd_pictures(tmp_path)[18:19]
    with StaticServer(bundle) as server:
        _open(browser, server)
        assert (
            browser.value("document.getElementById('status').textContent") == "Ready: this browser answers as it must."
        )
        assert browser.value("document.querySelector('.alarm').textContent").startswith("RANDOM WEIGHTS")
        _choose(browser, photo)
        _wait(browser, "document.querySelectorAll('#answers li').length === 5")
        pixels = crop_photo(open_upright(photo), check_bundle(bundle).record.photos.to_preprocessing())
        logits = load_runner((bundle / "assets" / "model.tflite").read_bytes()).logits(pixels)
        assert _answers(browser)[0] == LABELS[int(np.argmax(logits))]
        assert "model" in browser.value("document.getElementById('latency').textContent")
        assert _complaints(browser) == []
        asked = {row["request"]["url"] for row in browser.named("Network.requestWillBeSent")}
        assert {url for url in asked if not url.startswith((server.url, f"blob:{server.url}"))} == set()
        for size in (PHONE, DESKTOP):
            browser.send(
                "Emulation.setDeviceMetricsOverride", width=size[0], height=size[1], deviceScaleFactor=1, mobile=False
            )
            assert browser.value("document.documentElement.scrollWidth <= innerWidth"), size


def test_a_photo_can_be_dropped(browser: Chromium, bundle: Path) -> None:
    drop = """(async () => {
      const blob = await (await fetch('golden/1.png')).blob(), transfer = new DataTransfer();
      transfer.items.add(new File([blob], 'dropped.png'));
      document.body.dispatchEvent(new DragEvent('drop', { dataTransfer: transfer, bubbles: true, cancelable: true }));
    })()"""
    with StaticServer(bundle) as server:
        _open(browser, server)
        browser.value(drop)
        _wait(browser, "document.querySelectorAll('#answers li').length === 5")
        best = json.loads((bundle / "golden" / "golden.json").read_text(encoding="utf-8"))["cases"][0]["top"]
        assert _answers(browser) == [row["label"] for row in best]


def test_the_camera_is_answered_until_it_is_stopped(program: str, bundle: Path, tmp_path: Path) -> None:
    """A camera that the browser itself draws stands for a real one."""
    flags = ("--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream")
    with Chromium(program, tmp_path / "profile", *flags) as browser, StaticServer(bundle) as server:
        _open(browser, server)
        browser.value("document.getElementById('camera').click()")
        _wait(browser, "document.querySelectorAll('#answers li').length === 5")
        assert browser.value("document.getElementById('video').videoWidth") > 0
        assert browser.value("document.getElementById('camera').textContent") == "Stop the camera"
        browser.value("document.getElementById('camera').click()")
        _wait(browser, "document.getElementById('video').hidden")
        assert browser.value("document.getElementById('camera').textContent") == "Start the camera"
        assert _complaints(browser) == []


def test_what_is_no_picture_is_told(browser: Chromium, bundle: Path, tmp_path: Path) -> None:
    (tmp_path / "words.jpg").write_text("words", encoding="utf-8")
    with StaticServer(bundle) as server:
        _open(browser, server)
        _choose(browser, tmp_path / "words.jpg")
        _wait(browser, "document.querySelector('#status.alarm')")
        assert "words.jpg cannot be read as a picture" in browser.value("document.getElementById('status').textContent")


def test_the_page_works_without_any_network(browser: Chromium, bundle: Path) -> None:
    with StaticServer(bundle) as server:
        _open(browser, server)
        _wait(browser, "document.documentElement.dataset.offline === 'ready'")
        server.stop()
        _open(browser, server)
        assert (
            browser.value("document.getElementById('status').textContent") == "Ready: this browser answers as it must."
        )
        assert _complaints(browser) == []


def test_a_browser_that_answers_otherwise_is_not_used(browser: Chromium, bundle: Path) -> None:
    document = json.loads((bundle / "golden" / "golden.json").read_text(encoding="utf-8"))
    document["cases"][1]["top"][0]["logit"] += 100.0
    with StaticServer(bundle, {"/golden/golden.json": json.dumps(document).encode()}) as server:
        _open(browser, server)
        assert "this browser does not answer as it must: 2.png: the logit of" in browser.value(
            "document.getElementById('status').textContent"
        )
        assert browser.value("document.getElementById('file').disabled")


def test_everything_on_the_page_has_a_name(browser: Chromium, bundle: Path) -> None:
    with StaticServer(bundle) as server:
        _open(browser, server)
        nodes = browser.send("Accessibility.getFullAXTree")["nodes"]
    names = {(row["role"]["value"], row.get("name", {}).get("value", "")) for row in nodes if "role" in row}
    controls = {(role, name) for role, name in names if role in ("button", "RootWebArea", "image", "list", "status")}
    assert ("RootWebArea", "lite0 classifier") in controls
    assert ("button", "Start the camera") in controls
    assert any(role == "button" and name.startswith("Choose a photo") for role, name in controls)


def _bytes(text: str, side_px: int) -> NDArray[np.uint8]:
    return np.frombuffer(base64.b64decode(text), dtype=np.uint8).reshape(side_px, side_px, 3)


def _probe(browser: Chromium, server: StaticServer) -> None:
    browser.show(f"{server.url}probe.html", *DESKTOP, dark=False)
    _wait(browser, "document.body.dataset.ready")


@pytest.mark.parametrize("precision", ["fp32", "w8a8"])
def test_golden_logits_are_pythons(program: str, browser: Chromium, precision: Any, tmp_path: Path) -> None:
    folder = small_bundle(tmp_path, "web", precision).path
    runner = load_runner((folder / "assets" / "model.tflite").read_bytes())
    record = check_bundle(folder).record.photos.to_preprocessing()
    with StaticServer(folder, {"/probe.html": PROBE}) as server:
        _probe(browser, server)
        for number in (1, 2, 3):
            pixels = crop_photo(open_upright(folder / "golden" / f"{number}.png"), record)
            seen = _bytes(browser.value(f"seen('golden/{number}.png')"), record.side_px)
            assert np.array_equal(seen, pixels)
            wanted, found = runner.logits(pixels), np.array(browser.value(f"logits('golden/{number}.png')"))
            step = runner.outputs[0].scale
            allowed = step * 1.01 if step else 1e-5 * float(np.abs(wanted).max())
            assert float(np.abs(found - wanted).max()) <= allowed


def test_the_browser_sees_what_the_record_sees(program: str, browser: Chromium, bundle: Path, tmp_path: Path) -> None:
    content = small_content(tmp_path)
    pictures = write_odd_pictures(tmp_path / "odd")
    more = {"/probe.html": PROBE, **{f"/odd/{path.name}": path.read_bytes() for path in pictures}}
    pairs = [(rule, name) for rule in RULES for name in FILTERS]
    for rule, name in pairs:
        more[f"/{rule}-{name}.js"] = rendered(content, "web", rule, name)["photos.js"]
    with StaticServer(bundle, more) as server:
        _probe(browser, server)
        off = {}
        for rule, name in pairs:
            photos = content.photos.model_copy(update={"crop_rule": rule, "interpolation": name})
            for path in pictures:
                seen = _bytes(browser.value(f"seen('odd/{path.name}', '/{rule}-{name}.js')"), photos.side_px)
                wanted = crop_photo(open_upright(path), photos.to_preprocessing())
                off[rule, name, path.name] = int(np.abs(seen.astype(int) - wanted.astype(int)).max())
    assert len(off) == 6 * len(ODD)
    assert {case: levels for case, levels in off.items() if levels > 1} == {}


def test_the_page_weighs_under_four_megabytes_without_its_model(bundle: Path) -> None:
    """As a server sends it, compressed; a browser takes one of the two variants of the runtime."""
    record = check_bundle(bundle).record
    for other in ("litert_wasm_compat_internal", "litert_wasm_internal"):
        sent = [row.file for row in record.files if row.file != record.model and other not in row.file]
        assert sum(len(gzip.compress((bundle / name).read_bytes(), 9)) for name in sent) < 4_000_000


def test_a_title_is_text_and_nothing_else(program: str, browser: Chromium, tmp_path: Path) -> None:
    name = '</title><img src=x onerror="alert(1)"> & "q"'
    folder = small_bundle(tmp_path, "web", name=name).path
    assert json.loads((folder / "app.webmanifest").read_text(encoding="utf-8"))["name"] == name
    with StaticServer(folder) as server:
        _open(browser, server)
        assert browser.value("document.title") == name
        assert browser.value("document.querySelector('h1').textContent") == name
        assert browser.value("document.querySelectorAll('h1 *, head img').length") == 0


def test_the_same_artifact_gives_the_same_page(program: str, tmp_path: Path) -> None:
    artifact = small_artifact(tmp_path)
    for name in ("first", "second"):
        make_bundle(artifact, "web", tmp_path / name, small_wishes(tmp_path))
    read: Callable[[Path], dict[str, bytes]] = lambda folder: {  # noqa: E731  # one expression, used twice
        str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()
    }
    assert read(tmp_path / "first") == read(tmp_path / "second")


def test_int8_ends_are_refused(tmp_path: Path) -> None:
    with pytest.raises(
        InputError, match=r"has int8 ends, which web cannot feed; allowed: uint8, float32; .*--io uint8"
    ):
        make_bundle(artifact_with_ends(tmp_path, "int8"), "web", tmp_path / "app", small_wishes(tmp_path))


# The runtime's package


def test_another_package_is_refused(tmp_path: Path) -> None:
    (tmp_path / "other.tgz").write_bytes(b"x")
    with pytest.raises(InputError, match=r"is not litertjs-core-2\.5\.3\.tgz \(sha256 differs\); get it by npm pack"):
        web_runtime.runtime_files(str(tmp_path / "other.tgz"))
    with pytest.raises(InputError, match=r"cannot read .*absent\.tgz: No such file"):
        web_runtime.runtime_files(str(tmp_path / "absent.tgz"))


def test_without_npm_the_way_out_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EDGENET_CACHE", str(tmp_path))
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(MissingError, match=r"neither is npm; run npm pack @litertjs/core@2\.5\.3 .*--runtime"):
        web_runtime.runtime_files("")
