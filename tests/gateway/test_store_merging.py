"""Fewer ledger entries that say the same."""

from hypothesis import given
from hypothesis import strategies as st

from gateway.core.records import LedgerEntry, LedgerReason
from gateway.core.tags import TagId
from gateway.store.loss import TAGS_LISTED_MAX
from gateway.store.merging import merged_entries


@st.composite
def entries(draw: st.DrawFn) -> LedgerEntry:
    """Draw an entry with a count, or of a gap."""
    reason = draw(st.sampled_from((LedgerReason.THINNED, LedgerReason.DEVICE_LOST)))
    from_ns = draw(st.integers(0, 50))
    is_thinned = reason is LedgerReason.THINNED
    return LedgerEntry(
        reason=reason,
        source=draw(st.sampled_from(("*", "pumps"))),
        from_ns=from_ns,
        to_ns=from_ns + draw(st.integers(0, 10)),
        count=draw(st.integers(0, 9)) if is_thinned else None,
        tags=tuple(map(TagId, draw(st.sets(st.sampled_from("abc"))))),
        error_percent=draw(st.sampled_from((0.5, 2.0))) if is_thinned else None,
    )


@given(st.lists(entries(), max_size=12))
def test_every_sample_stays_counted_and_every_span_covered(found: list[LedgerEntry]) -> None:
    merged = merged_entries(found)
    assert sum(each.count or 0 for each in merged) == sum(each.count or 0 for each in found)
    counted = [(each.reason, each.source) for each in merged if each.count is not None]
    assert len(counted) == len(set(counted)), "one for each reason and source"
    for entry in found:
        assert any(
            (each.reason, each.source, each.count is None)
            == (entry.reason, entry.source, entry.count is None)
            and each.from_ns <= entry.from_ns
            and entry.to_ns <= each.to_ns
            and (not each.tags or set(entry.tags) <= set(each.tags))
            and (each.error_percent or 0) >= (entry.error_percent or 0)
            for each in merged
        )
    assert merged_entries(merged) == merged


@given(st.lists(entries(), max_size=12))
def test_a_time_between_two_gaps_is_in_none(found: list[LedgerEntry]) -> None:
    def seconds(some: list[LedgerEntry]) -> set[tuple[str, int]]:
        gaps = [each for each in some if each.count is None]
        return {(gap.source, now) for gap in gaps for now in range(gap.from_ns, gap.to_ns)}

    assert seconds(merged_entries(found)) == seconds(found)


def test_more_tags_than_are_listed_are_all() -> None:
    one, other = (
        LedgerEntry(
            reason=LedgerReason.RETENTION,
            source="*",
            from_ns=0,
            to_ns=1,
            count=1,
            tags=tuple(TagId(f"{name}{number}") for number in range(TAGS_LISTED_MAX)),
        )
        for name in "ab"
    )
    assert merged_entries([one, other])[0].tags == ()
    assert merged_entries([one, one])[0].tags == tuple(sorted(one.tags))
