"""ONNX files: translated from the TFLite graph under the same names, with the same steps."""
