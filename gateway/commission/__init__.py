"""Setting a gateway up: tag lists and configuration from what the machines say.

A second run finds what a person has edited, keeps it, and changes only what the machine changed.
"""
