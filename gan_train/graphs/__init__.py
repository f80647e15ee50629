"""Reads, checks and changes the ONNX graphs of model files, without PyTorch."""
