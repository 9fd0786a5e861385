"""Doubles of what a React Native app has and Node.js has not, for the package of a bundle.

The model answers for real, by the runtime of this Python, and its buffers behave as react-native-fast-tflite 3.0.1's
do: one for all outputs, written again by each run; sizes are not looked at. Skia is real, too: React Native Skia's own
code for the web over canvaskit-wasm. Only React Native itself and the engines of phones are made up.
"""

FAST_TFLITE = """
const { execFileSync } = require("child_process");
const { readFileSync } = require("fs");
exports.log = [];
exports.loadTensorflowModel = async (source, delegates) => {
  const url = typeof source === "object" ? source.url : `file://${process.env.MODEL}`;
  exports.log.push(`load ${url.slice(url.lastIndexOf("/") + 1)} [${delegates}]`);
  if (delegates.length > 0) throw new Error(`no ${delegates} here`);
  const path = url.slice("file://".length);
  const output = new ArrayBuffer(Number(process.env.OUTPUT_BYTES));
  const ends = JSON.parse(process.env.ENDS);
  let busy = false;
  return {
    delegates, ...ends,
    dispose() { exports.log.push("dispose"); },
    async run(buffers) {
      if (busy) throw new Error("a run in the middle of another");
      busy = true;
      await new Promise((done) => setTimeout(done, 1));
      const given = buffers.map((buffer) => Buffer.from(buffer).toString("base64")).join();
      const words = ["-c", process.env.ANSWER, path];
      new Uint8Array(output).set(execFileSync(process.env.PYTHON, words, { input: given }));
      busy = false;
      return [output];
    },
  };
};
"""
# What the double asks: the bytes of the input in base 64 on standard input, those of the output out.
ANSWER = """
import base64, sys
import numpy as np
from ai_edge_litert.interpreter import Interpreter
interpreter = Interpreter(sys.argv[1])
interpreter.allocate_tensors()
end = interpreter.get_input_details()[0]
given = np.frombuffer(base64.b64decode(sys.stdin.read()), dtype=end["dtype"]).reshape(end["shape"])
interpreter.set_tensor(end["index"], given)
interpreter.invoke()
sys.stdout.buffer.write(interpreter.get_tensor(interpreter.get_output_details()[0]["index"]).tobytes())
"""
REACT_NATIVE = """
const { readFileSync } = require("fs");
const address = (path) => `data:application/octet-stream;base64,${readFileSync(path).toString("base64")}`;
const uri = (asset) => (asset.endsWith?.(".png") ? address(asset) : "assets_model");
exports.Image = { resolveAssetSource: (asset) => ({ uri: uri(asset) }) };
"""
SKIA = """
const folder = `${process.env.PACKAGES}/@shopify/react-native-skia/lib/commonjs/skia`;
const { AlphaType } = require(`${folder}/types/Image/ImageFactory`);
const { ColorType } = require(`${folder}/types/Image/ColorType`);
module.exports = { AlphaType, ColorType, Skia: undefined };
module.exports.ready = require(`${process.env.PACKAGES}/canvaskit-wasm/bin/full/canvaskit.js`)().then((kit) => {
  module.exports.Skia = require(`${folder}/web/JsiSkia`).JsiSkApi(kit);
});
"""
DOUBLES = {"react-native": REACT_NATIVE, "react-native-fast-tflite": FAST_TFLITE, "@shopify/react-native-skia": SKIA}
