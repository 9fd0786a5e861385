"""An event loop in a thread of its own, so that what is synchronous outside can be asynchronous inside."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine
from concurrent.futures import Future
from contextlib import suppress
from typing import Any, TypeVar

Result = TypeVar("Result")

STOP_S = 5.0


class LoopThread:
    """A loop that runs from the first call on. Any thread may call; an interrupt cancels what its thread waits for.

    Interrupts come anywhere in the main thread: so the loop is made in its own, where none comes, a start that was
    interrupted may be made once more, and `stop` may be called twice.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()  # of the callers
        self._begin = threading.Lock()  # of the thread that begins
        self._ready = threading.Event()
        self._stopped = False
        self._thread: threading.Thread | None = None
        self._loop: asyncio.AbstractEventLoop

    def call(self, work: Callable[[], Coroutine[Any, Any, Result]]) -> Result:
        """Run what `work` returns in the loop and return its result; raise ConnectionError once the loop is stopped."""
        outcome: Future[Result] = Future()
        tasks: list[asyncio.Task[Result]] = []

        def begin() -> None:
            task = self._loop.create_task(work())
            task.add_done_callback(lambda task: _settle(outcome, task))
            tasks.append(task)

        with self._lock:
            if self._stopped:
                raise _over()
            if self._thread is None:
                # A daemon: a session that nobody cleaned up must not keep the interpreter from ending.
                threading.Thread(target=self._run, name="edgenet-ssh", daemon=True).start()
            self._ready.wait()
            self._loop.call_soon_threadsafe(begin)
        try:
            return outcome.result()
        finally:
            if not outcome.done():  # an interrupt
                self.soon(lambda: [task.cancel() for task in tasks])

    def soon(self, action: Callable[[], object]) -> None:
        """Have the loop run `action` soon; nothing happens once it is stopped."""
        with self._lock:
            if not self._stopped:
                self._loop.call_soon_threadsafe(action)

    def stop(self) -> None:
        """Cancel all that runs and end the thread."""
        with self._lock:
            with self._begin:
                self._stopped = True
            if self._thread and self._thread.is_alive():
                self._ready.wait()
                with suppress(RuntimeError):  # it is closed already
                    self._loop.call_soon_threadsafe(self._begin_end)
        if self._thread:
            self._thread.join(STOP_S)

    def _run(self) -> None:
        with self._begin:
            if self._stopped or self._thread:
                return
            self._thread = threading.current_thread()
        self._loop = asyncio.new_event_loop()
        asyncio.set_event_loop(self._loop)
        self._ready.set()
        self._loop.run_forever()
        self._loop.close()

    def _begin_end(self) -> None:
        self._ending = self._loop.create_task(self._end())

    async def _end(self) -> None:
        tasks = asyncio.all_tasks() - {asyncio.current_task()}
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks, timeout=STOP_S / 2)
        for _ in range(3):  # transports that were closed let go of their sockets in the loop's next rounds
            await asyncio.sleep(0)
        self._loop.stop()


def _settle(outcome: Future[Result], task: asyncio.Task[Result]) -> None:
    if task.cancelled():  # by `stop`, called in another thread
        outcome.set_exception(_over())
    elif error := task.exception():
        outcome.set_exception(error)
    else:
        outcome.set_result(task.result())


def _over() -> ConnectionAbortedError:
    return ConnectionAbortedError("the session is over")
