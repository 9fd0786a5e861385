"""Interrupts that wait for the end of a step, so that the state that is saved is a whole one."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

SIGNALS = (signal.SIGINT, signal.SIGTERM)  # the second is what schedulers send before they take a machine away


class Interrupt:
    """Whether the user or a scheduler wants the training to stop."""

    wanted = False

    @contextmanager
    def watched(self) -> Iterator[None]:
        """Take note of the first signal; a second one does what it always did."""
        if threading.current_thread() is not threading.main_thread():  # Python gives signals to that one alone
            yield
            return
        before: dict[int, Any] = {number: signal.getsignal(number) for number in SIGNALS}

        def note(number: int, frame: object) -> None:
            del number, frame
            self.wanted = True
            restore()

        def restore() -> None:
            for number, handler in before.items():
                signal.signal(number, handler)

        for number in SIGNALS:
            signal.signal(number, note)
        try:
            yield
        finally:
            restore()
