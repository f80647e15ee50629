"""Opens and runs models: the only room that uses ONNX Runtime, beside the trial of unknown files."""
