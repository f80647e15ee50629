"""Programs around a model: verify pictures, check model files, check this machine."""
