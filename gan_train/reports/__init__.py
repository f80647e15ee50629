"""Shows a run: live panel, sheets and walks, report, trackers."""
