"""What tests of 8-bit arithmetic want of the processor that they run on.

x86 without VNNI adds pairs of 8-bit products in 16 bits, which 8-bit weights overflow in ONNX Runtime.
"""

import pytest

from converters.onnx_file.options import OnnxOptions, this_cpu

WITHOUT_VNNI = this_cpu() == "x86-avx2"
EXACT = OnnxOptions(cpu="arm" if WITHOUT_VNNI else "x86-vnni")  # arm's way adds in 32 bits on any processor
needs_vnni = pytest.mark.skipif(
    WITHOUT_VNNI,
    reason="this x86 has no VNNI: it adds pairs of 8-bit products in 16 bits, which 8-bit weights overflow",
)
