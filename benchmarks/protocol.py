"""How long to measure: the three protocols, as rows."""

from __future__ import annotations

from benchmarks.result import ProtocolRecord
from edgenet.errors import InputError

# Models take turns of this length: long enough that the first run of a turn counts little, short enough that a
# machine's slow drift hits all of them alike.
BLOCK_S = 0.25
# benchmark_model's own defaults: each process is short, and so is its warm-up.
BINARY_WARMUP_RUNS, BINARY_WARMUP_S = 1, 0.5
# Each of the many processes is a fresh start; what a first one takes is told by one more.
BINARY_COLD_STARTS = 1
LONGEST_COOLDOWN_S = 86400.0
PROTOCOLS = {
    row.name: row
    for row in (
        ProtocolRecord(
            name="quick", warmup_runs=3, warmup_s=0.25, min_runs=20, min_s=2.0, max_s=60.0, block_s=BLOCK_S,
            cooldown_s=0.0, cold_starts=2,
        ),
        ProtocolRecord(
            name="standard", warmup_runs=10, warmup_s=1.0, min_runs=100, min_s=10.0, max_s=300.0, block_s=BLOCK_S,
            cooldown_s=5.0, cold_starts=5,
        ),
        # MLPerf Mobile, single stream: at least 1024 samples and 60 s, judged by the 90th percentile. Its 10 minutes
        # of cooling between full runs are --cooldown 600: a run here is one setting of many.
        ProtocolRecord(
            name="mlperf", warmup_runs=10, warmup_s=2.0, min_runs=1024, min_s=60.0, max_s=3600.0, block_s=BLOCK_S,
            cooldown_s=30.0, cold_starts=5,
        ),
    )
}  # fmt: skip


def parse_protocol(name: str, cooldown_s: float | None) -> ProtocolRecord:
    """Return a protocol by name, with another cooldown if one is given; raise InputError."""
    if name not in PROTOCOLS:
        raise InputError(f"unknown protocol {name!r}", allowed=", ".join(PROTOCOLS))
    if cooldown_s is not None and not 0 <= cooldown_s <= LONGEST_COOLDOWN_S:
        raise InputError(f"the cooldown cannot be {cooldown_s:g} s", allowed=f"0 to {LONGEST_COOLDOWN_S:g} s")
    protocol = PROTOCOLS[name]
    return protocol if cooldown_s is None else protocol.model_copy(update={"cooldown_s": cooldown_s})


def binary_rules(protocol: ProtocolRecord) -> ProtocolRecord:
    """Return a protocol as short processes of benchmark_model keep it: its runs, but no seconds of them, and no turns.

    The seconds are there for the device's state to vary. Here they go into starts and warm-ups, half a second for each
    three runs, and would not be reached by the runs alone. MLPerf's 60 s are another's rule: they hold as they are.
    """
    changes = {
        "warmup_runs": BINARY_WARMUP_RUNS,
        "warmup_s": BINARY_WARMUP_S,
        "min_s": protocol.min_s if protocol.name == "mlperf" else 0.0,
        "block_s": 0.0,
        "cold_starts": BINARY_COLD_STARTS,
    }
    return protocol.model_copy(update=changes)
