"""What several packages need to speak with the outside: codecs, back-off, the real clock."""
