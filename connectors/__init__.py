"""Connectors: from machines to frames. They know the ports and not one another."""
