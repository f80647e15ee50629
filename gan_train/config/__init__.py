"""The options of a run, and known-good sets of them."""
