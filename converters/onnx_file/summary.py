"""What an .onnx file holds, for people: like a .tflite file, its ends, its ops, its sizes."""

from __future__ import annotations

from collections import Counter

from converters.loaded import TensorInfo
from converters.onnx_file.document import all_nodes, parse
from converters.onnx_file.ends import input_end, output_ends
from converters.tflite_summary import End, OpCount, Summary
from edgenet.artifact import sha256


def summarize_onnx(content: bytes) -> Summary:
    """Return what the graph of an .onnx file holds; an op's version is the opset that defined it last."""
    import onnx

    model = parse(content)
    opsets = {row.domain: int(row.version) for row in model.opset_import}
    counts = Counter((node.op_type, node.domain) for node in all_nodes(model.graph))

    def version(kind: str, domain: str) -> int:
        opset = opsets.get(domain, 0)
        known = onnx.defs.has(kind, opset, domain)
        return int(onnx.defs.get_schema(kind, opset, domain).since_version) if known else opset

    written = f"{model.producer_name or 'an unknown tool'} {model.producer_version}".strip()
    used = ", ".join(f"{domain or 'ONNX'} opset {number}" for domain, number in sorted(opsets.items()))
    described = model.doc_string or f"written by {written}"
    return Summary(
        sha256=sha256(content),
        size_bytes=len(content),
        description=f"{described}; {used}, IR version {model.ir_version}",
        inputs=(_end(input_end(model.graph)),),
        outputs=tuple(_end(row) for row in output_ends(model.graph)),
        ops=tuple(OpCount(kind, version(kind, domain), count) for (kind, domain), count in counts.most_common()),
        signatures=(),
    )


def _end(row: TensorInfo) -> End:
    return End(row.name, str(row.dtype), row.shape, row.scale, row.zero_point)
