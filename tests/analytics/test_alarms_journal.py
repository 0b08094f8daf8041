"""The journal: its figures are those of plain loops, and it survives restarts and changes."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analytics.alarms.journal import ENTRIES_MAX, Journal, Kind, Present
from gateway.core.alarms import AlarmId
from tests.naive.alarm_figures import HOUR_NS, NaiveFigures

NAMES = [AlarmId(f"a/{k}") for k in range(4)]
PRESENT = Present(target_per_hour=6.0, chattering=(), stale=())
MINUTE_NS = HOUR_NS // 60
EMPTY = Journal(NAMES)
ALARM_KINDS = (Kind.ANNOUNCED, Kind.COLLECTED, Kind.FLEETING, Kind.CHATTERING)


@settings(max_examples=200, deadline=None)
@given(
    steps=st.lists(
        st.tuples(
            st.sampled_from([0, 1, 3, 30, 2000]),
            st.integers(0, len(NAMES) - 1),
            st.sampled_from([1, 333, 334, 666, 667, 1000]),
            st.sampled_from(ALARM_KINDS),
            st.booleans(),
        ),
        max_size=80,
    ),
    cut=st.integers(0, 80),
)
def test_the_figures_are_those_of_a_plain_loop(
    steps: list[tuple[int, int, int, Kind, bool]], cut: int
) -> None:
    """Over more than a week, with floods and with a restart in between."""
    journal, naive = Journal(NAMES), NaiveFigures(since_ns=0)
    journal.begin(0)
    now_ns, is_flood = 0, False
    for k, (minutes, name, severity, kind, turns) in enumerate(steps):
        if k == cut:
            journal = again(journal)
        now_ns += minutes * MINUTE_NS
        journal.note(kind, name=name, severity=severity, now_ns=now_ns)
        naive.entries.append((now_ns, NAMES[name], severity, kind.name))
        if turns:
            turn = Kind.FLOOD_ENDED if is_flood else Kind.FLOOD_BEGAN
            journal.note(turn, severity=750, now_ns=now_ns)
            naive.entries.append((now_ns, "", 750, turn.name))
            is_flood = not is_flood
    metrics = journal.metrics(now_ns, PRESENT)
    expected = naive.of(now_ns)
    assert expected == {name: getattr(metrics, name) for name in expected}
    counts = naive.counts(metrics.from_ns)
    assert counts == {each.alarm: each.count for each in metrics.most_frequent}
    assert (metrics.flood_since_ns is not None) == is_flood


def again(journal: Journal, names: list[AlarmId] | None = None) -> Journal:
    fresh = Journal(names or NAMES)
    saved = json.loads(json.dumps(journal.save()))
    fresh.load(**saved)
    return fresh


def test_nothing_yet_gives_zeros() -> None:
    metrics = Journal([]).metrics(5 * HOUR_NS, PRESENT)
    assert (metrics.announced, metrics.per_hour, metrics.flood_share) == (0, 0.0, 0.0)
    assert metrics.most_frequent == ()
    assert metrics.is_within_target


def test_a_first_hour_is_no_shorter_than_an_hour() -> None:
    """Two alarms in the first minute are two an hour, not a hundred and twenty."""
    journal = Journal(NAMES)
    journal.begin(0)
    journal.note(Kind.ANNOUNCED, name=0, severity=1, now_ns=MINUTE_NS)
    journal.note(Kind.ANNOUNCED, name=0, severity=1, now_ns=MINUTE_NS)
    metrics = journal.metrics(2 * MINUTE_NS, PRESENT)
    assert (metrics.per_hour, metrics.per_10min, metrics.per_day) == (2.0, 2 / 6, 48.0)


def test_alarms_that_are_no_longer_configured_keep_their_entries() -> None:
    journal = Journal(NAMES)
    journal.begin(0)
    for name in (0, 2, 2, 3):
        journal.note(Kind.ANNOUNCED, name=name, severity=1, now_ns=HOUR_NS)
    changed = again(journal, [AlarmId("new/1"), AlarmId("a/3")])
    found = {x.alarm: x.count for x in changed.metrics(2 * HOUR_NS, PRESENT).most_frequent}
    assert found == {"a/3": 1, "a/0": 1, "a/2": 2}
    assert "a/1" not in json.dumps(changed.save())


def test_it_is_bounded_and_says_from_when_on_it_knows() -> None:
    journal = Journal(NAMES)
    journal.begin(0)
    for k in range(3 * ENTRIES_MAX):
        journal.note(Kind.ANNOUNCED, name=k % 4, severity=1, now_ns=k * 1_000_000_000)
    metrics = journal.metrics(3 * ENTRIES_MAX * 1_000_000_000, PRESENT)
    assert ENTRIES_MAX <= metrics.announced <= 2 * ENTRIES_MAX
    assert metrics.per_hour == pytest.approx(3600)
    assert len(json.dumps(journal.save())) < 200_000


def test_a_clock_that_was_set_moves_all_of_it() -> None:
    journal = Journal(NAMES)
    journal.begin(10 * HOUR_NS)
    journal.note(Kind.ANNOUNCED, name=1, severity=1, now_ns=11 * HOUR_NS)
    journal.rebase(-5 * HOUR_NS)
    metrics = journal.metrics(6 * HOUR_NS + 1, PRESENT)
    assert (metrics.from_ns, metrics.last_hour) == (5 * HOUR_NS, 1)
