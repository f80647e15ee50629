"""Opens and runs a model file once in a process with limits, before this one does, and keeps the verdict."""
