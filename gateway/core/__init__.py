"""Nouns and ports: what every other part of the gateway talks about. No I/O, no clock."""
