"""Opens and runs a model file once in a process with limits, and keeps the verdict."""
