"""Reads tables of labels, and finds the picture of each row."""
