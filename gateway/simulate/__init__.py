"""A simulated plant behind real protocol servers.

The physics is the simulator's own and richer than what the twins assume; its parameters are drawn
from a seed and hidden, as those of a real machine are.
"""
