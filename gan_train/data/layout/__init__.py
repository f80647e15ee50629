"""Reads from the names of folders what is a class and what is a split."""
