"""Texts become events, not too many."""

from connectors.text_watch import TELL_PAUSE_S, TextWatch
from gateway.core.tags import TagId

TAG = TagId("mixer.batch")
S = 1_000_000_000


def read(watch: TextWatch, text: str, at_s: float) -> str | None:
    now_ns = int(at_s * S)
    event = watch.read(TAG, text, time_ns=10**18 + now_ns, monotonic_ns=now_ns)
    return None if event is None else event.text


def test_a_change_is_told_and_sameness_is_not() -> None:
    watch = TextWatch("mixer")
    assert read(watch, "B11", 0) == "mixer.batch is 'B11'"
    assert read(watch, "B11", 100) is None
    assert read(watch, "B12", 101) == "mixer.batch is 'B12'; it was 'B11'"
    assert read(watch, "B12", 200) is None


def test_a_text_that_never_rests_is_told_now_and_then() -> None:
    """The newest, with how many were passed over; nothing is lost silently."""
    watch = TextWatch("mixer")
    told = [text for second in range(100) if (text := read(watch, f"{second}", second))]
    assert len(told) == 100 // TELL_PAUSE_S
    assert told[1] == "mixer.batch is '10'; it was '0', and 9 others in between"


def test_what_changed_within_the_pause_is_told_when_it_is_over() -> None:
    watch = TextWatch("mixer")
    read(watch, "A", 0)
    assert read(watch, "B", 1) is None
    assert read(watch, "B", 9) is None
    assert read(watch, "B", 11) == "mixer.batch is 'B'; it was 'A'"


def test_a_text_is_quoted() -> None:
    assert read(TextWatch("mixer"), "a\n\x00b'", 0) == 'mixer.batch is "a\\n\\x00b\'"'
