"""Reads tables of labels, and finds the picture that each row means."""
