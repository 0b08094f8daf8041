"""Vision's orchestration: the newest picture goes to a detector in a thread of its own.

Inference never delays polling: one picture at a time per camera, in a worker thread, and a camera
that is faster than its model has pictures passed over, which are counted. The detector may be
exchanged at any time: the next picture goes to the new one.
"""

import asyncio
from collections.abc import Callable

import structlog

from gateway.core.errors import ModelError
from gateway.core.events import Event, Evidence
from gateway.core.pictures import Detection, Picture
from gateway.core.ports import PictureDetector, PictureSource
from gateway.core.rows import AssetId

log = structlog.get_logger()

SEEN_SEVERITY = 200
FAILED_SEVERITY = 400
EVIDENCE_MAX = 16


class Inspection:
    """Watches one camera with one detector, on behalf of one asset."""

    def __init__(
        self,
        source: PictureSource,
        *,
        asset: AssetId,
        note: Callable[[Event], None],
    ) -> None:
        """Begin without a detector.

        Args:
            source: The camera.
            asset: The twin that the camera looks at.
            note: Takes the events, in order.
        """
        self._source = source
        self._detector: PictureDetector | None = None
        self._asset = asset
        self._note = note
        self.picture_count = 0
        """Pictures looked at since the start."""
        self.unseen_count = 0
        """Pictures that came before there was a detector."""

    def use(self, detector: PictureDetector) -> None:
        """Look at the pictures that follow with this detector, in a worker thread."""
        self._detector = detector

    async def run(self) -> None:
        """Look at pictures until cancelled."""
        async for picture in self._source.pictures():
            detector = self._detector
            if detector is None:
                self.unseen_count += 1
                continue
            try:
                detections = await asyncio.to_thread(detector.detect, picture.encoded)
            except ModelError as error:
                log.warning(
                    "picture_failed",
                    camera=picture.source,
                    picture=picture.name,
                    reason=str(error),
                    stage="processing",
                )
                self._note(self._failed(picture, error))
                continue
            self.picture_count += 1
            for label in dict.fromkeys(detection.label for detection in detections):
                seen = [each for each in detections if each.label == label]
                self._note(self._seen(picture, label, seen, by=detector.model_version))

    def _seen(self, picture: Picture, label: str, detections: list[Detection], *, by: str) -> Event:
        best = max(each.score for each in detections)
        count = f"{len(detections)} × " if len(detections) > 1 else ""
        return Event(
            time_ns=picture.time_ns,
            source=self._asset,
            condition=f"seen_{label}",
            severity=SEEN_SEVERITY,
            text=f"{count}{label} ({best:.0%}) on {picture.name} of camera {picture.source}, "
            f"by {by}",
            evidence=tuple(
                Evidence(name=f"{label} at {box_text(each)}", value=each.score)
                for each in detections[:EVIDENCE_MAX]
            ),
        )

    def _failed(self, picture: Picture, error: ModelError) -> Event:
        return Event(
            time_ns=picture.time_ns,
            source=self._asset,
            condition="picture_failed",
            severity=FAILED_SEVERITY,
            text=f"{picture.name} of camera {picture.source} was not inspected: {error}",
        )


def box_text(detection: Detection) -> str:
    """Return a box as `x_min,y_min x_max,y_max` in whole pixels."""
    box = detection.box
    return f"{box.x_min:.0f},{box.y_min:.0f} {box.x_max:.0f},{box.y_max:.0f}"
