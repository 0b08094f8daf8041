"""Texts become events, not too many."""

from hypothesis import given
from hypothesis import strategies as st

from connectors.news import PERIOD_S, News
from connectors.text_watch import TEXT_CHANGED, TextWatch, tag_with_text
from gateway.core.events import Event
from gateway.core.tags import TagId
from tests.connectors.sinks import KeepingSink
from tests.connectors.virtual_clock import VirtualClock

TAG = TagId("mixer.batch")
S = 1_000_000_000


class Mixer:
    """Has a text, and one session after the other."""

    def __init__(self) -> None:
        self.clock = VirtualClock()
        self.texts = TextWatch()
        self.begin()

    def begin(self) -> None:
        """Begin a session."""
        self.sink = KeepingSink()
        self.news = News(self.sink, source="mixer", clock=self.clock)

    def read(self, text: str, *, at_s: float, tag: TagId = TAG) -> list[str]:
        """Read a text at a time; return all that was told so far."""
        self.clock.time_ns = round(at_s * S)
        self.news.flush()
        self.texts.read(tag, text, self.news)
        return self.told

    @property
    def told(self) -> list[str]:
        """All that was told in this session."""
        return [event.text for event in self.sink.events]


def test_a_change_is_told_and_sameness_is_not() -> None:
    mixer = Mixer()
    for text, at_s in (("B11", 1), ("B11", 100), ("B12", 101), ("B12", 200)):
        mixer.read(text, at_s=at_s)
    assert mixer.told == ["mixer.batch is 'B11'", "mixer.batch is 'B12'; it was 'B11'"]
    assert {(event.source, event.condition) for event in mixer.sink.events} == {
        ("mixer", TEXT_CHANGED)
    }


def test_a_text_that_never_rests_is_told_now_and_then() -> None:
    """The newest, with how many were passed over; nothing is lost silently."""
    mixer = Mixer()
    for second in range(1, 101):
        mixer.read(f"{second}", at_s=second)
    assert len(mixer.told) == 100 // PERIOD_S
    assert mixer.told[1] == "mixer.batch is '10'; it was '9' (and 8 more before it)"


def test_what_changed_within_the_period_is_told_when_it_is_over() -> None:
    mixer = Mixer()
    assert len(mixer.read("A", at_s=1)) == 1
    assert len(mixer.read("B", at_s=2)) == 1
    mixer.clock.time_ns = 11 * S
    mixer.news.flush()
    assert mixer.told[1:] == ["mixer.batch is 'B'; it was 'A'"]


def test_a_new_session_repeats_nothing_and_the_old_one_keeps_nothing_back() -> None:
    mixer = Mixer()
    mixer.read("A", at_s=1)
    mixer.read("B", at_s=2)
    mixer.news.close()
    assert mixer.told[1:] == ["mixer.batch is 'B'; it was 'A'"]
    mixer.begin()
    assert mixer.read("B", at_s=3) == []
    assert mixer.read("C", at_s=4) == ["mixer.batch is 'C'; it was 'B'"]


def test_texts_of_one_instant_are_different_events() -> None:
    mixer = Mixer()
    for number in range(5):
        mixer.read("A", at_s=1, tag=TagId(f"mixer.t{number}"))
    assert len({event.id for event in mixer.sink.events}) == 5


def test_a_text_is_quoted() -> None:
    assert Mixer().read("a\n\x00b'", at_s=1) == ['mixer.batch is "a\\n\\x00b\'"']


def test_a_long_text_is_cut() -> None:
    [told] = Mixer().read("x" * 5000, at_s=1)
    assert len(told) < 250


@given(st.from_regex(r"[\w.\-\[\]:]+", fullmatch=True), st.lists(st.text(), min_size=1, max_size=9))
def test_an_event_names_the_tag_that_has_the_text(tag: str, texts: list[str]) -> None:
    """For any tag name that a tag list may have, and whatever the text says."""
    mixer = Mixer()
    for second, text in enumerate(texts):
        mixer.read(text, at_s=3 * second + 1, tag=TagId(tag))
    mixer.news.close()
    assert {tag_with_text(event) for event in mixer.sink.events} == {tag}


def test_another_event_is_no_text() -> None:
    event = Event(time_ns=1, source="x", condition="device_lost", severity=1, text="mixer is lost")
    assert tag_with_text(event) is None
