"""Where recordings come from; see `gateway.recordings`."""

from gateway.recordings import Recording, read_recording, usual_period_s

__all__ = ["Recording", "read_recording", "usual_period_s"]
