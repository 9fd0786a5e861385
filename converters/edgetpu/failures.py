"""Why the compiler gave up: its words, what they mean, and the mend. It says little, and never which op it was."""

from __future__ import annotations

import re
from dataclasses import dataclass

from converters.check.judge import RECONVERT, STATIC
from converters.edgetpu.log import lines

LONGEST_TOLD = 200


@dataclass(frozen=True)
class Failure:
    """A line of the compiler's that tells why it gave up; {} in `reason` stands for what the line names."""

    words: re.Pattern[str]
    reason: str
    mend: str


LARGE = "take a smaller input (convert --side) or a smaller variant"
# google-coral/edgetpu, issues 189, 270, 317, 434, 512, 601, 686, 728, 829; the most telling first.
FAILURES = (
    Failure(
        re.compile(r"ERROR: Didn't find op for builtin opcode '(\w{1,64})' version '(\d{1,4})'.*", re.ASCII),
        "it knows no {} of version {}",
        RECONVERT,
    ),
    Failure(
        re.compile(r"ERROR: Attempting to use a delegate that only supports static-sized tensors.*"),
        "a tensor has no fixed size",
        STATIC,
    ),
    Failure(
        re.compile(r"ERROR: Encountered unresolved custom op: (.{1,64}?)\..*"),
        "it does not know the custom op {}",
        "do without the op, or let the app do its work",
    ),
    Failure(
        re.compile(r"Compilation failed due to large activation tensors.*"),
        "activations do not fit the chip",
        LARGE,
    ),
    Failure(
        re.compile(r"Compilation timeout.*"),
        "it ran out of its time, which large activations cause most often",
        f"give it more --timeout, or {LARGE}",
    ),
    Failure(
        re.compile(r".*terminating with uncaught exception of type (.{1,100})"),
        "it crashed ({})",
        "--search looks for a beginning of the graph that it can compile",
    ),
    Failure(
        re.compile(r"Internal compiler error\. Aborting!.*"),
        "it broke on the graph and does not say where (internal compiler error)",
        "--search looks for a beginning of the graph that it can compile; --segments 2 halves the graph",
    ),
    Failure(
        re.compile(r"Compilation failed: Model failed in Tflite interpreter.*"),
        "its own TFLite, of early 2021, cannot load the model",
        RECONVERT,
    ),
    Failure(re.compile(r"Invalid model: .*|.*Model could not be parsed.*"), "it cannot read the model", RECONVERT),
)
UNTOLD_MEND = "edgenet check tells which ops it may have refused"


def explain(log: bytes, status: int) -> tuple[str, str]:
    """Return why the compiler gave up and the mend, by what it printed and by its exit status."""
    told = lines(log)
    for failure in FAILURES:
        for line in told:
            if found := failure.words.fullmatch(line):
                return failure.reason.format(*found.groups()), failure.mend
    last = next((line for line in reversed(told) if line), "nothing")[:LONGEST_TOLD]
    how = f"signal {-status}" if status < 0 else f"status {status}"
    return f"it ended with {how} and said last: {last}", UNTOLD_MEND
