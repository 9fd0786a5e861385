"""The loop: how much is in flight, what follows, and which task pays for a worker that dies; with real processes."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from concurrent.futures import Future
from functools import partial
from typing import Any

import pytest

from benchmarks.pools.open_pool import open_pool
from benchmarks.sweep.loop import BUG_EXIT_CODE, Loop, Task, failure
from edgenet.errors import GateFailed, InputError, MissingError
from tests.sweep.small_sweep import InlinePool


def double(number: int) -> int:
    return 2 * number


def die(number: int) -> None:
    time.sleep(0.2)  # until the tasks beside it have begun
    os.kill(os.getpid(), signal.SIGKILL)


def refuse(number: int) -> None:
    raise InputError(f"{number} cannot be doubled", mend="give another")


def test_tasks_are_taken_as_there_is_room_and_others_may_follow() -> None:
    pool, taken, ended = InlinePool(workers=1), [], []
    loop = Loop(pool)

    def then(ended_now: Any) -> None:
        ended.append(ended_now.result)
        if ended_now.result == 2:
            loop.add(iter([Task("more", double, (50,), then)]))

    def tasks() -> Iterator[Task]:
        for number in range(6):
            taken.append((number, len(ended)))
            yield Task(str(number), double, (number,), then)

    loop.add(tasks())
    loop.run()
    assert sorted(ended) == [0, 2, 4, 6, 8, 10, 100]
    assert all(number - done <= 2 for number, done in taken)  # two in flight for each worker


def test_an_error_is_handed_over_and_the_rest_goes_on() -> None:
    loop = Loop(InlinePool())
    ended: list[Any] = []
    loop.add(Task(str(number), refuse if number == 1 else double, (number,), ended.append) for number in range(3))
    loop.run()
    assert [str(row) for row in ended if isinstance(row, Exception)] == ["1 cannot be doubled; give another"]
    assert [row.result for row in ended if not isinstance(row, Exception)] == [0, 4]


def test_other_futures_are_waited_for() -> None:
    loop, future, seen = Loop(InlinePool()), Future[Any](), []
    loop.watch(future, lambda done: seen.append(done.result()))
    future.set_result("measured")
    loop.run()
    assert seen == ["measured"]


def test_only_the_task_that_kills_its_worker_fails() -> None:
    ended: dict[int, Any] = {}
    with open_pool("") as pool:
        loop = Loop(pool)
        for number in range(7):
            task = Task(f"task {number}", die if number == 2 else double, (number,), partial(ended.__setitem__, number))
            loop.add(iter([task]))
        loop.run()
    assert {at: row.result for at, row in ended.items() if at != 2} == {0: 0, 1: 2, 3: 6, 4: 8, 5: 10, 6: 12}
    assert isinstance(ended[2], GateFailed)
    assert "task 2: the process that ran it died" in str(ended[2])


@pytest.mark.parametrize(
    ("error", "message", "code"),
    [
        (InputError("no", mend="yes"), "no; yes", 2),
        (MissingError("gone"), "gone", 3),
        (ZeroDivisionError("division by zero"), "a bug in edgenet: ZeroDivisionError: division by zero", BUG_EXIT_CODE),
    ],
)
def test_failures_are_told_by_what_they_are(error: Exception, message: str, code: int) -> None:
    record = failure("convert", error)
    assert (record.message, record.exit_code) == (message, code)
