"""ONNX graphs of model files, read, held to the contract and changed; nothing here needs PyTorch."""
