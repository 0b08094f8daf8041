"""Where recordings come from; see `gateway.wire.recordings`."""

from gateway.wire.recordings import Recording, read_recording, usual_period_s

__all__ = ["Recording", "read_recording", "usual_period_s"]
