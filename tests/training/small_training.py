"""`edgenet` as a program of its own with lite0 cut down to three stages, to train in seconds; real in everything else.

EDGENET_TEST_STOP="SIGKILL 12" ends it by that signal of its own after 12 steps: a power cut at a place that is known.
"""

import os
import signal
import sys
from dataclasses import replace
from typing import Any

from edgenet.__main__ import main
from edgenet.variants import VARIANTS
from tests.networks import small_variant


def stop_after(name: str, steps: int) -> None:
    """Let the process send itself a signal when it has done so many steps."""
    from edgenet.training.callbacks import Watch

    original, done = Watch.on_train_batch_end, 0

    def stopping(self: Watch, batch: int, logs: Any = None) -> None:
        nonlocal done
        done += 1
        if done == steps:
            os.kill(os.getpid(), signal.Signals[name])
        original(self, batch, logs)

    Watch.on_train_batch_end = stopping  # type: ignore[method-assign]  # of this process alone


if __name__ == "__main__":
    small = small_variant("lite")
    VARIANTS["lite0"] = replace(small, stages=small.stages[:3])
    if "EDGENET_TEST_STOP" in os.environ:
        name, steps = os.environ["EDGENET_TEST_STOP"].split()
        stop_after(name, int(steps))
    sys.exit(main())
