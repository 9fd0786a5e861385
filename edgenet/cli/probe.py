"""Run one ADD with the TFLite runtime and say who ran it: `python -m edgenet.cli.probe`, a process of its own.

`edgenet doctor` starts it as a child, so that a runtime that crashes on this machine is a finding and not the end.
"""

import numpy as np


def main() -> None:
    """Print "XNNPACK" if the delegate took the op, "CPU" if it did not."""
    from ai_edge_litert import schema_py_generated as schema
    from ai_edge_litert.interpreter import Interpreter

    from converters.flatbuffer import write
    from converters.graph import GraphBuilder

    graph = GraphBuilder("probe")
    image, total = graph.tensor("x", (1, 4)), graph.tensor("y", (1, 4))
    one = graph.constant("one", np.ones((1, 4), np.float32))
    graph.op(schema.BuiltinOperator.ADD, [image, one], total, schema.AddOptionsT())
    interpreter = Interpreter(model_content=write(graph.finish({"x": image}, {"y": total})))
    interpreter.allocate_tensors()
    interpreter.set_tensor(interpreter.get_input_details()[0]["index"], np.zeros((1, 4), np.float32))
    interpreter.invoke()
    if not np.array_equal(interpreter.get_tensor(interpreter.get_output_details()[0]["index"]), np.ones((1, 4))):
        raise SystemExit("0 + 1 is not 1 here")
    # The only listing of what runs after delegation; private in every release so far.
    names = [row["op_name"] for row in interpreter._get_ops_details()]
    print("XNNPACK" if "DELEGATE" in names else "CPU")


if __name__ == "__main__":
    main()
