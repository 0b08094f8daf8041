"""Turns what a server sent into frames, and tells what is odd about it.

Most values are numbers with sound times, and pass as columns. The rest:

- an element that was asked for comes as an array of one (OPC 10000-4, 7.27); a server that does
  not know index ranges sends the whole array, and the element is picked here;
- a text is no sample: it becomes an event (see `text_watch`);
- an array whose tag has a sampling rate is a waveform (see `connectors.waveforms`);
- other arrays, structures, raw bytes are Bad, and their tags unfit: told once, no more asked for;
- a source time that cannot be is replaced, and told (see `times`).

What was told is remembered over sessions, so that a connection that comes and goes repeats nothing.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import isfinite

import numpy as np
import structlog

from connectors.columns import stated_frame
from connectors.news import News
from connectors.opcua.items import Changes, OtherValue
from connectors.opcua.monitor import Item
from connectors.opcua.report import ReadFigures, Refusal
from connectors.opcua.times import marked, sample_times
from connectors.text_watch import TextWatch
from connectors.waveforms import SAMPLES_MAX, WaveformTags
from gateway.core.arrays import BoolArray, IndexArray, index_column, status_column
from gateway.core.events import Event
from gateway.core.frame import ClockSource, Frame, split_by_clock
from gateway.core.ports import Clock, Sink
from gateway.core.quality import Status
from gateway.core.tags import TagId
from gateway.core.times import utc_text

NS_PER_S = 1_000_000_000
PACE_NS = 60 * NS_PER_S
"""Wrong times are told as often at most."""
SEVERITY_UNFIT = 300
SEVERITY_TIME = 300

_INDEX_RANGE_CODES = (0x8036_0000, 0x8037_0000)
"""BadIndexRangeInvalid and BadIndexRangeNoData (OPC 10000-4, 7.39.2)."""

log = structlog.get_logger()


@dataclass(frozen=True, slots=True, kw_only=True)
class ReceptionRules:
    """What a person has set."""

    uses_source_time: bool
    source_ahead_ns_max: int


@dataclass(slots=True, kw_only=True)
class ReceptionMemory:
    """What outlives a session; handles are positions among the connector's tags."""

    figures: ReadFigures = field(default_factory=ReadFigures)
    refusals: dict[int, Refusal] = field(default_factory=dict)
    """Nodes that the server does not give at present."""
    texts: TextWatch = field(default_factory=TextWatch)
    told: set[tuple[int, str]] = field(default_factory=set)
    """Tags that are odd, each with what was said of it."""
    wrong_times: set[int] = field(default_factory=set)
    """Tags whose wrong source time was told and has not been right since."""
    waveform_ends_ns: dict[int, int] = field(default_factory=dict)
    """Time of the last value of each waveform."""
    wrong_times_told_ns: int = -PACE_NS
    ran_out_count: int = 0
    """Tags that were polled for want of monitored items, as told last."""


class Reception:
    """Makes the frames of one session."""

    def __init__(
        self,
        *,
        names: Sequence[TagId],
        indices: IndexArray,
        elements: Mapping[int, int],
        rates_hz: Mapping[int, float],
        rules: ReceptionRules,
        memory: ReceptionMemory,
        sink: Sink,
        news: News,
        name: str,
        clock: Clock,
    ) -> None:
        """Begin a session.

        Args:
            names: Of the connector's tags; a handle is a position in here.
            indices: Position in the tag table of each of them.
            elements: Which element of an array a handle means, where it means one.
            rates_hz: Sampling rate of the waveform that a handle means, where it means one.
            rules: See there.
            memory: What former sessions said.
            sink: Takes the events about odd values.
            news: Take the texts.
            name: Of the connector.
            clock: Time, for what the gateway states itself.
        """
        self._names = names
        self._indices = indices
        self._elements = elements
        self._waveforms = WaveformTags(rates_hz, indices, memory.waveform_ends_ns)
        self._arrays: list[tuple[int, int, OtherValue]] = []
        self._rules = rules
        self._memory = memory
        self._sink = sink
        self._news = news
        self._name = name
        self._clock = clock
        memory.refusals.clear()
        self._unfit: list[int] = []
        self._is_missing_told = False

    def frames(self, changes: Changes, *, received_ns: int, arrival_ns: int) -> list[Frame]:
        """Return values as samples of one clock each; texts, and values of nobody, are left out.

        Args:
            changes: What came; its arrays are changed.
            received_ns: When, UTC.
            arrival_ns: The same on the monotonic clock.
        """
        is_sample = changes.handles < len(self._indices)
        for place, other in changes.others.items():
            if is_sample[place]:
                self._settle(changes, place, other, received_ns, is_sample)
        if self._elements:
            self._note_elements(changes, received_ns)
        if self._memory.refusals:
            for handle in self._memory.refusals.keys() & set(changes.handles.tolist()):
                del self._memory.refusals[handle]
        handles = np.where(is_sample, changes.handles, 0)
        time_ns = np.full(len(changes), received_ns, dtype=np.int64)
        status, is_ours = changes.status, np.ones(len(changes), dtype=np.bool_)
        if self._rules.uses_source_time:
            is_judge = self._clock.is_trusted
            times = sample_times(
                changes.source_ns,
                changes.server_ns,
                received_ns=received_ns,
                ahead_ns_max=self._rules.source_ahead_ns_max if is_judge else None,
            )
            time_ns, status = times.time_ns, marked(status, times.is_wrong)
            is_ours = times.is_ours
            self._note_times(changes, times.is_wrong, received_ns)
            self._note_missing(times.is_missing)
        frame = Frame(
            tag_index=self._indices[handles],
            time_ns=time_ns,
            value=changes.value,
            status=status,
            received_ns=received_ns,
            arrival_ns=arrival_ns,
            server_ns=changes.server_ns if changes.server_ns.any() else None,
        )
        arrays = self._waveform_frames(frame, is_ours)
        if not is_sample.all():
            frame, is_ours = frame.where(is_sample), is_ours[is_sample]
        return [*split_by_clock(frame, is_ours), *arrays]

    def refused(self, items: Sequence[Item], codes: Mapping[int, int]) -> Frame:
        """Note that the server does not give some nodes; return what we say of their tags.

        Args:
            items: Those that were asked for.
            codes: Status of each that is not given, by handle; at least one.
        """
        log.warning(
            "nodes_refused",
            device=self._name,
            count=len(codes),
            first=str(next(item.node for item in items if item.handle in codes)),
            status=f"0x{next(iter(codes.values())):08X}",
            stage="receiving",
        )
        now_ns = self._clock.now_ns()
        for handle, code in codes.items():
            self._memory.refusals[handle] = Refusal(status=code, since_ns=now_ns)
            if code in _INDEX_RANGE_CODES and handle in self._elements:
                self._note_element(handle, now_ns)
        return self.stated(codes)

    def stated(self, codes: Mapping[int, int]) -> Frame:
        """Return a frame in which the gateway says the status of tags, by handle."""
        return stated_frame(
            index_column(self._indices[list(codes)]),
            status=status_column(list(codes.values())),
            received_ns=self._clock.now_ns(),
            arrival_ns=self._clock.monotonic_ns(),
        )

    def take_unfit(self) -> list[int]:
        """Return the handles found unfit since the last call: no more use in asking for them.

        To be called right after `frame`, by whoever called that: several share a session.
        """
        unfit, self._unfit = self._unfit, []
        return unfit

    def _settle(
        self,
        changes: Changes,
        place: int,
        other: OtherValue,
        received_ns: int,
        is_sample: BoolArray,
    ) -> None:
        """Do with one value that is no number what is to be done."""
        handle = int(changes.handles[place])
        element = self._elements.get(handle)
        if handle in self._waveforms and 0 < len(other.numbers) <= SAMPLES_MAX:
            is_sample[place] = False
            changes.status[place] = other.status
            self._arrays.append((place, handle, other))
        elif element is not None and other.numbers:
            self._pick(changes, place, element, other, received_ns)
        elif other.text is not None and element is None and other.status < Status.BAD:
            is_sample[place] = False
            self._memory.texts.read(self._names[handle], other.text, self._news)
        elif other.status < Status.BAD:
            self._note_unfit(handle, other.what, _remedy(other, element), received_ns)

    def _waveform_frames(self, frame: Frame, is_ours: BoolArray) -> list[Frame]:
        """Return the waveforms among the values of a frame, a frame each."""
        arrays, self._arrays = self._arrays, []
        found = (
            self._waveforms.frame(
                handle,
                other.numbers,
                status=int(frame.status[place]),
                end_ns=int(frame.time_ns[place]),
                received_ns=frame.received_ns,
                arrival_ns=frame.arrival_ns,
                clock=ClockSource.GATEWAY if is_ours[place] else ClockSource.SOURCE,
            )
            for place, handle, other in arrays
        )
        return [each for each in found if each is not None and len(each)]

    def _pick(
        self, changes: Changes, place: int, element: int, other: OtherValue, received_ns: int
    ) -> None:
        """Set the value of an element."""
        handle = int(changes.handles[place])
        count = len(other.numbers)
        if count > 1 and element >= count:
            self._note_unfit(
                handle,
                other.what,
                f"Its last element is {count - 1}: correct the tag list.",
                received_ns,
            )
            return
        if count > 1 and self._is_news(handle, "index range"):
            log.info("index_range_ignored", device=self._name, tag=self._names[handle])
        number = other.numbers[element if count > 1 else 0]
        is_number = isfinite(number)
        changes.value[place] = number if is_number else np.nan
        changes.status[place] = other.status
        if not is_number and other.status < Status.BAD:
            changes.status[place] = Status.BAD_OUT_OF_RANGE

    def _note_unfit(self, handle: int, what: str, remedy: str, received_ns: int) -> None:
        self._unfit.append(handle)
        if self._is_news(handle, "unfit"):
            tag = self._names[handle]
            log.warning("value_unfit", device=self._name, tag=tag, what=what, stage="receiving")
            self._tell(
                tag,
                "value_unfit",
                SEVERITY_UNFIT,
                received_ns,
                f"{tag} is {what}, not a number, and not read any more. {remedy}",
            )

    def _note_elements(self, changes: Changes, received_ns: int) -> None:
        """Tell of elements that are not there, or that the server cannot pick out."""
        for handle in changes.handles[np.isin(changes.status, _INDEX_RANGE_CODES)].tolist():
            if handle in self._elements:
                self._note_element(handle, received_ns)

    def _note_element(self, handle: int, time_ns: int) -> None:
        what = f"element {self._elements[handle]}"
        if self._is_news(handle, what):
            tag = self._names[handle]
            log.warning("element_missing", device=self._name, tag=tag, what=what, stage="receiving")
            self._tell(
                tag,
                "element_missing",
                SEVERITY_UNFIT,
                time_ns,
                f"{tag} is {what} of an array that has no such element at present, or the server "
                "does not know index ranges: correct the tag list, or map the element to a node "
                "of its own.",
            )

    def _note_times(self, changes: Changes, is_wrong: BoolArray, received_ns: int) -> None:
        """Tell wrong source times of tags whose times were right before."""
        told = self._memory.wrong_times
        if not told and not is_wrong.any():
            return
        told -= {int(handle) for handle in changes.handles[~is_wrong]}
        wrong = {
            int(handle): place for place, handle in enumerate(changes.handles) if is_wrong[place]
        }
        fresh = [handle for handle in wrong if handle not in told and handle < len(self._names)]
        since_told_ns = received_ns - self._memory.wrong_times_told_ns
        if not fresh or 0 <= since_told_ns < PACE_NS:
            return
        told |= set(fresh)
        self._memory.wrong_times_told_ns = received_ns
        first = self._names[fresh[0]]
        at = utc_text(int(changes.source_ns[wrong[fresh[0]]]))
        log.warning(
            "source_time_wrong",
            device=self._name,
            count=len(fresh),
            first=first,
            source_time=at,
            stage="receiving",
        )
        self._tell(
            self._name,
            "source_time_wrong",
            SEVERITY_TIME,
            received_ns,
            f"{self._name} gives source times that cannot be (of {_tags(len(fresh))}, first "
            f"{first}: {at}); the time of the server or of receipt is used, and the values are "
            'Uncertain. Set the source\'s clock, or time = "receipt".',
        )

    def _note_missing(self, is_missing: BoolArray) -> None:
        """Say once in a session that values come without a source time."""
        if not self._is_missing_told and is_missing.any():
            self._is_missing_told = True
            log.info("source_time_missing", device=self._name, count=int(is_missing.sum()))

    def _is_news(self, handle: int, what: str) -> bool:
        """Tell whether something was not said before, and remember it."""
        if (handle, what) in self._memory.told:
            return False
        self._memory.told.add((handle, what))
        return True

    def _tell(self, source: str, condition: str, severity: int, time_ns: int, text: str) -> None:
        self._sink.note(
            Event(time_ns=time_ns, source=source, condition=condition, severity=severity, text=text)
        )


def _remedy(other: OtherValue, element: int | None) -> str:
    """Return what a person can do about a value that is no number."""
    if element is not None:
        return "It has no elements that are numbers: correct the tag list."
    if other.numbers:
        return "Name one of its elements in the column `element`, or take the line out."
    return "Name a node inside it that is a number, or take the line out."


def _tags(count: int) -> str:
    return "1 tag" if count == 1 else f"{count} tags"
