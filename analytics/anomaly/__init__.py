"""Statistics that tell an unusual row from a usual one, and how surprising it is."""
