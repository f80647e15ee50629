"""Texts that come from elsewhere or go to a terminal."""
