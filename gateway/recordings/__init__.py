"""Recordings in files, CSV and Parquet, as people have them: any names, gaps, text between numbers.

A mistake is told with its place and what to do about it, because these files come from historians
and spreadsheets, and from people who have not made one for this program before.
"""

from gateway.recordings.cells import TIME_NAMES
from gateway.recordings.reading import Recording, read_recording, usual_period_s

__all__ = ["TIME_NAMES", "Recording", "read_recording", "usual_period_s"]
