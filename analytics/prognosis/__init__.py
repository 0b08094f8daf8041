"""How long a machine will last: from the lives of others like it, told only where it can be."""
