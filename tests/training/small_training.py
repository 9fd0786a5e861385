"""`edgenet` as a program of its own with small variants cut down to a few stages, real in everything else.

lite0, b0, edgetpu-s and v2-b0 train in seconds then.

EDGENET_TEST_ACCIDENT="SIGKILL 12" lets something happen after 12 steps: a signal, a loss of NaN (NAN), or a
full disk (FULL).
"""

import math
import os
import resource
import signal
import sys
from dataclasses import replace
from typing import Any

from edgenet.__main__ import main
from edgenet.variants import VARIANTS
from tests.networks import FAMILY_HEADS, small_variant

STAGES = {"b": 2, "lite": 3, "edgetpu": 3, "v2": 4}  # V2's fourth is the first with squeeze-and-excite


def happen(name: str, logs: Any) -> None:
    """Let one accident happen to this process."""
    if name == "NAN":
        logs["loss"] = math.nan
    elif name == "FULL":
        # No file may grow beyond a kilobyte any more: as on a full disk, writing fails in the middle.
        resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
    else:
        os.kill(os.getpid(), signal.Signals[name])


def prepare_accident(name: str, steps: int) -> None:
    """Let something happen when so many steps are done."""
    from edgenet.training.callbacks import Watch

    original, done = Watch.on_train_batch_end, 0

    def watched(self: Watch, batch: int, logs: Any = None) -> None:
        nonlocal done
        done += 1
        if done == steps:
            happen(name, logs)
        original(self, batch, logs)

    Watch.on_train_batch_end = watched  # type: ignore[method-assign]  # of this process alone


if __name__ == "__main__":
    for family, head in FAMILY_HEADS.items():
        small = small_variant(family)
        VARIANTS[head] = replace(small, stages=small.stages[: STAGES[family]])
    if "EDGENET_TEST_ACCIDENT" in os.environ:
        accident, steps = os.environ["EDGENET_TEST_ACCIDENT"].split()
        prepare_accident(accident, int(steps))
    sys.exit(main())
