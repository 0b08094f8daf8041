"""The chain twin → detector, lives → assessment → alarms → cases, in memory, in order. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass

from gateway.core.assessor import Assessor
from gateway.core.cases import CaseKeeper
from gateway.core.events import Event
from gateway.core.frame import Frame, Origin, join_frames
from gateway.core.ports import AlarmBoard, Detector, Twin
from gateway.core.prognosis import Prognoser
from gateway.core.rows import AssetId
from gateway.core.tags import Tag, TagTable
from gateway.core.twin_state import TwinState
from gateway.core.watch import Watch

STEP_BACK_NS_MIN = 60 * 1_000_000_000
"""A receive time that falls by more is a clock that was set, not frames in another order."""
CLOCK_PART = "clock"
"""Name of the checkpoint that keeps the newest receive time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Chain:
    """All assets of one type: their twin, and the detector that scores its rows, if any."""

    name: str
    """The asset type; names the checkpoint."""
    twin: Twin
    detector: Detector | None
    prognoser: Prognoser | None = None
    """Tells their remaining lives, if any."""

    @property
    def parts(self) -> tuple[tuple[str, Twin | Detector | Prognoser], ...]:
        """Those that are there, by the names of their checkpoints, in the order of the data."""
        every = (("twin", self.twin), ("detector", self.detector), ("life", self.prognoser))
        return tuple((f"{stage}.{self.name}", part) for stage, part in every if part is not None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Processed:
    """What one frame led to."""

    derived: Frame | None
    """All samples of derived tags in the order they were made; None when there are none."""
    events: tuple[Event, ...]


_Part = Twin | Detector | Prognoser | Watch | Assessor | AlarmBoard | CaseKeeper


class Processor:
    """Owns every asset's chain; the same frames in the same order always give the same results."""

    def __init__(
        self,
        chains: Sequence[Chain],
        watch: Watch,
        assessor: Assessor,
        board: AlarmBoard,
        cases: CaseKeeper,
    ) -> None:
        """Put the stages together, in their order."""
        self._watch = watch
        self._assessor = assessor
        self._chains = tuple(chains)
        self._board = board
        self._cases = cases
        self._received_ns: int | None = None

    @property
    def derived_tags(self) -> tuple[Tag, ...]:
        """Every tag that the stages compute."""
        parts = [part for chain in self._chains for _, part in chain.parts]
        return tuple(
            tag for part in (*parts, self._watch, self._assessor) for tag in part.derived_tags
        )

    def bind(self, table: TagTable) -> None:
        """Resolve tag ids to positions, once, before the first frame."""
        for chain in self._chains:
            for _, part in chain.parts:
                part.bind(table)
        self._watch.bind(table)
        self._assessor.bind(table)
        self._board.bind(table)

    def process(self, frame: Frame) -> Processed:
        """Run one frame through all chains and all alarms."""
        self._follow_clock(frame)
        derived: list[Frame] = []
        events: list[Event] = []
        for chain in self._chains:
            update = chain.twin.update(frame)
            events += update.events
            if update.frame is not None:
                derived.append(update.frame)
            for rows in update.rows:
                if chain.detector is not None:
                    detected = chain.detector.update(rows)
                    events += detected.events
                    if detected.frame is not None:
                        derived.append(detected.frame)
                lives = None if chain.prognoser is None else chain.prognoser.update(rows)
                if lives is not None:
                    derived.append(lives)
        watched = self._watch.update(frame)
        if watched is not None:
            derived.append(watched)
        # One frame costs the alarms as much as one of a hundred times as many samples.
        made = join_frames(derived) if derived else None
        assessed = None if made is None else self._assessor.update(made)
        if made is not None and assessed is not None:
            made = join_frames([made, assessed])
        events += self._board.update(frame)
        if made is not None:
            events += self._board.update(made)
        events += self._cases.update(events, now_ns=frame.received_ns)
        return Processed(derived=made, events=tuple(events))

    def rebase(self, shift_ns: int) -> None:
        """Move every remembered time: the gateway's clock was set.

        Without it, a delay of an alarm would be over at once, or every sample would count as late.
        """
        for _, part in self._parts():
            part.rebase(shift_ns)
        if self._received_ns is not None:
            self._received_ns += shift_ns

    def _follow_clock(self, frame: Frame) -> None:
        """Move all remembered times when the gateway's clock was set back while nobody looked.

        Such as while it was switched off.
        """
        if frame.origin is Origin.HISTORICAL:
            return
        step_ns = frame.received_ns - (self._received_ns or frame.received_ns)
        if step_ns < -STEP_BACK_NS_MIN:
            self.rebase(step_ns)
        self._received_ns = frame.received_ns

    def twin_states(self) -> tuple[TwinState, ...]:
        """Return every asset as known now, with its score explained."""
        states = []
        for chain in self._chains:
            for asset in chain.twin.assets:
                state = chain.twin.state(AssetId(asset))
                scored = chain.detector.explain(state) if chain.detector else state
                states.append(self._assessor.explain(scored))
        return tuple(states)

    def checkpoint(self) -> dict[str, bytes]:
        """Return all parts' checkpoints by name."""
        parts = {name: part.checkpoint() for name, part in self._parts()}
        if self._received_ns is not None:
            parts[CLOCK_PART] = str(self._received_ns).encode()
        return parts

    def restore(self, parts: dict[str, bytes]) -> tuple[str, ...]:
        """Go on from checkpoints; a part whose configuration has changed starts afresh.

        Returns:
            Names of the parts that start afresh, with the reason.
        """
        afresh: list[str] = []
        if CLOCK_PART in parts:
            self._received_ns = int(parts[CLOCK_PART])
        for name, part in self._parts():
            checkpoint = parts.get(name)
            if checkpoint is None:
                continue
            try:
                part.restore(checkpoint)
            except ValueError as error:
                afresh.append(f"{name}: {error}")
        return tuple(afresh)

    def _parts(self) -> list[tuple[str, _Part]]:
        parts: list[tuple[str, _Part]] = [
            ("vibration", self._watch),
            ("assessment", self._assessor),
            ("alarms", self._board),
            ("cases", self._cases),
        ]
        for chain in self._chains:
            parts += chain.parts
        return parts
