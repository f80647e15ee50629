"""Finds, reads, checks and opens model files."""
