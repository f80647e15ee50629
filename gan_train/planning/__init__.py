"""Settles what a run needs before its first step: device, precision, width, batch."""
