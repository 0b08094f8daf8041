"""What a series of values shows about losses."""

from collections.abc import Sequence
from itertools import pairwise

from gateway.core.quality import Status
from tests.connectors.sinks import KeepingSink


def assert_rising(values: Sequence[float]) -> None:
    """Each value once, in order."""
    assert list(values) == sorted(set(values))


def assert_none_from_before_an_edge(sink: KeepingSink, index: int) -> None:
    """What follows the Bad edge of a tag was received after it, each value once.

    A new subscription begins with the present value, which may be the last one before the edge.
    """
    edge_ns, spans = 0, [list[float]()]
    for frame in sink.frames:
        chosen = frame.tag_index == index
        if not chosen.any():
            continue
        if frame.is_received:
            assert frame.received_ns >= edge_ns
            spans[-1] += frame.value[chosen].tolist()
        else:
            edge_ns = frame.received_ns
            spans.append([])
    for before, after in pairwise(spans):
        assert before[-1] <= after[0]
    for span in spans:
        assert_rising(span)


def edges_of(sink: KeepingSink, status: int = Status.BAD_NO_COMMUNICATION) -> list[list[int]]:
    return [frame.tag_index.tolist() for frame in sink.stated if (frame.status == status).all()]
