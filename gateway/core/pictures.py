"""Pictures from cameras and what a model sees on them."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """One camera image, still encoded, with its time and source."""

    source: str
    """Name of the camera."""
    name: str
    """Name of the image at its source, such as the file's."""
    time_ns: int
    """When it was taken, UTC."""
    encoded: bytes
    """JPEG or PNG."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Box:
    """An axis-parallel box in pixels of the original picture; it may reach over the edge."""

    x_min: float
    y_min: float
    x_max: float
    y_max: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Detection:
    """One object that a model found on a picture."""

    label: str
    """One of the labels in the model's manifest."""
    score: float
    """0 to 1."""
    box: Box
    """Where it is."""
