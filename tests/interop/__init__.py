"""Against servers and clients that were not written here."""
