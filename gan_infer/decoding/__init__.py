"""Decodes picture files of any kind to arrays."""
