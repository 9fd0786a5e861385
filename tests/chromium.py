"""A headless Chromium that is told what to do through a pair of pipes, so that no library and no port is needed."""

from __future__ import annotations

import base64
import json
import os
import shutil
import subprocess
from pathlib import Path
from threading import Timer
from types import TracebackType
from typing import Any

NAMES = ("chromium", "chromium-browser", "google-chrome")
LONGEST_S = 60.0  # a browser that hangs is ended, and the test fails


def find_chromium() -> str | None:
    """Return the browser's path, None where there is none."""
    return next((path for path in map(shutil.which, NAMES) if path), None)


class Chromium:
    """One page of a browser, spoken to in the DevTools protocol: JSON texts that end with a zero byte."""

    def __init__(self, program: str, profile: Path, *more_flags: str) -> None:
        to_browser, self._out = os.pipe()
        self._in, from_browser = os.pipe()
        flags = ["--headless", "--disable-gpu", "--remote-debugging-pipe", f"--user-data-dir={profile}", *more_flags]
        if os.geteuid() == 0:
            flags.append("--no-sandbox")  # which Chromium refuses to have as root
        # The browser reads from descriptor 3 and writes to 4; a shell puts them there.
        script = f'exec "$0" "$@" 3<&{to_browser} 4>&{from_browser}'
        self._process = subprocess.Popen(
            ["bash", "-c", script, program, *flags],
            pass_fds=(to_browser, from_browser),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        os.close(to_browser)
        os.close(from_browser)
        self._watchdog = self._watch()
        self._unread, self._number, self._session = b"", 0, ""
        self.events: list[dict[str, Any]] = []

    def _watch(self) -> Timer:
        watchdog = Timer(LONGEST_S, self._process.kill)
        watchdog.start()
        return watchdog

    def __enter__(self) -> Chromium:
        """Open an empty page and ask to hear of its requests and complaints."""
        target = self.send("Target.createTarget", url="about:blank")["targetId"]
        self._session = self.send("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Network", "Log", "Runtime"):
            self.send(f"{domain}.enable")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End the browser."""
        self._session = ""
        if self._process.poll() is None and kind is None:
            self.send("Browser.close")
        else:
            self._process.kill()
        self._process.wait()
        self._watchdog.cancel()
        os.close(self._out)
        os.close(self._in)

    def send(self, method: str, **parameters: Any) -> dict[str, Any]:
        """Send one command and return its result; what the browser reports meanwhile is kept in `events`."""
        self._number += 1
        message: dict[str, Any] = {"id": self._number, "method": method, "params": parameters}
        if self._session:
            message["sessionId"] = self._session
        os.write(self._out, json.dumps(message).encode() + b"\0")
        while True:
            answer = self._receive()
            if answer.get("id") == self._number:
                assert "error" not in answer, answer["error"]
                result: dict[str, Any] = answer["result"]
                return result
            self.events.append(answer)

    def _receive(self) -> dict[str, Any]:
        while b"\0" not in self._unread:
            part = os.read(self._in, 1 << 20)
            assert part, "the browser ended"
            self._unread += part
        message, _, self._unread = self._unread.partition(b"\0")
        parsed: dict[str, Any] = json.loads(message)
        return parsed

    def show(self, url: str, width_px: int, height_px: int, dark: bool) -> None:
        """Load a page into a window of that size; `events` then holds what happened since."""
        self._watchdog.cancel()
        self._watchdog = self._watch()  # the time is that of one page
        self.events.clear()
        size = {"width": width_px, "height": height_px, "deviceScaleFactor": 1, "mobile": width_px < 500}
        self.send("Emulation.setDeviceMetricsOverride", **size)
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.send("Emulation.setEmulatedMedia", features=[scheme])
        self.send("Page.navigate", url=url)
        while not self.named("Page.loadEventFired"):
            self.events.append(self._receive())

    def named(self, *methods: str) -> list[dict[str, Any]]:
        """Return the parameters of the events of these names."""
        return [event["params"] for event in self.events if event["method"] in methods]

    def value(self, expression: str) -> Any:
        """Return what a JavaScript expression is on the page."""
        answer = self.send("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in answer, answer["exceptionDetails"]
        return answer["result"].get("value")

    def screenshot(self) -> bytes:
        """Return what the window shows, as PNG."""
        return base64.b64decode(self.send("Page.captureScreenshot")["data"])
