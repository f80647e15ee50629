"""Shows a run: the live panel, sheets and walks, the report, trackers."""
