"""Texts that come from outside or go to a terminal."""
