"""Opens and runs models: the only users of ONNX Runtime."""
