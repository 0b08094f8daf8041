"""Measures what the gateway costs, as ratios against the plain way of doing it, in one run."""
