"""Measures how good the analytics are: public recordings, one frozen configuration a task."""
