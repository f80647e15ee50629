"""Measures how good generated pictures are: feature networks, scores over features, nearest pictures."""
