"""What benchmark_model prints, by generation: written for these tests from its sources, no recording of a real run.

No binary of it can be had from the package registries; what a real one prints is in
tensorflow/lite/tools/benchmark/benchmark_model.cc, xla/tsl/util/stats_calculator.{h,cc} and
tensorflow/lite/profiling/profile_summary_formatter.cc.
"""

from pathlib import Path

FOLDER = Path(__file__).parents[1] / "golden" / "benchmark_model"

# Everything on standard error, no words before lines, a column [start], the delegate without its nodes.
OLD = (FOLDER / "tensorflow-2.3.txt").read_text(encoding="utf-8")
# INFO: before lines, which nodes the delegate took in each subgraph, memory's delta and its peak.
MIDDLE = (FOLDER / "tensorflow-2.17.txt").read_text(encoding="utf-8")
# Percentiles behind each count; here three runs and no warm-up.
LITERT = (FOLDER / "litert.txt").read_text(encoding="utf-8")

UNKNOWN_FLAGS = "INFO: STARTING!\nWARN: Unconsumed cmdline flags: --warmup_min_secs=0.5 --use_xnnpack=true\n"
# benchmark_litert_model's, another program.
COMPILED_MODEL = """\
INFO: [benchmark_litert_model.h:73]
========== BENCHMARK RESULTS ==========
INFO: [benchmark_litert_model.h:74] Model initialization: 3.65 ms
INFO: [benchmark_litert_model.h:78] Inference (avg):      12.31 ms (50 runs)
"""
