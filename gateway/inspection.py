"""Vision's orchestration: the newest picture goes to a detector in a thread of its own.

Inference never delays polling: one picture at a time per camera, in a worker thread, and a camera
that is faster than its model has pictures passed over, which are counted.
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
        detector: PictureDetector,
        *,
        asset: AssetId,
        note: Callable[[Event], None],
    ) -> None:
        """Report what the detector sees as events on the asset.

        Args:
            source: The camera.
            detector: Blocking; called in a worker thread.
            asset: The twin that the camera looks at.
            note: Takes the events, in order.
        """
        self._source = source
        self._detector = detector
        self._asset = asset
        self._note = note
        self.picture_count = 0
        """Pictures looked at since the start."""

    async def run(self) -> None:
        """Look at pictures until cancelled."""
        async for picture in self._source.pictures():
            try:
                detections = await asyncio.to_thread(self._detector.detect, picture.encoded)
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
                self._note(self._seen(picture, label, seen))

    def _seen(self, picture: Picture, label: str, detections: list[Detection]) -> Event:
        best = max(each.score for each in detections)
        count = f"{len(detections)} × " if len(detections) > 1 else ""
        return Event(
            time_ns=picture.time_ns,
            source=self._asset,
            condition=f"seen_{label}",
            severity=SEEN_SEVERITY,
            text=f"{count}{label} ({best:.0%}) on {picture.name} of camera {picture.source}, "
            f"by {self._detector.model_version}",
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
