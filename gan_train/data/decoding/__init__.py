"""Decodes the pictures of a source."""
