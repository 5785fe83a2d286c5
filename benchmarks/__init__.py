"""Measurements of this project against its peers and against the machine's own limits."""
