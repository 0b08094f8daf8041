"""Object detection on pictures; what a model needs is all in its manifest."""

from analytics.vision.detector import VisionDetector, known_manifest

__all__ = ["VisionDetector", "known_manifest"]
