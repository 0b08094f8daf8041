"""Merging ledger entries, so that the ledger is bounded too and yet nothing it says is lost."""

from collections.abc import Iterable
from dataclasses import replace

from gateway.core.records import LedgerEntry, LedgerReason
from gateway.store.loss import TAGS_LISTED_MAX

_Key = tuple[LedgerReason, str, bool]


def merged_entries(entries: Iterable[LedgerEntry]) -> list[LedgerEntry]:
    """Return fewer entries that say the same together: every sample counted, every span covered.

    Entries with a count become one for each reason and source, from the earliest to the latest
    time, with the largest error. Gaps, of which only the span is known, become one where they
    meet: a span between two gaps is none.
    """
    groups: dict[_Key, list[LedgerEntry]] = {}
    for entry in sorted(entries, key=lambda each: each.from_ns):
        group = groups.setdefault((entry.reason, entry.source, entry.count is None), [])
        if group and (entry.count is not None or entry.from_ns <= group[-1].to_ns):
            group[-1] = _joined(group[-1], entry)
        else:
            group.append(entry)
    return [entry for group in groups.values() for entry in group]


def _joined(one: LedgerEntry, other: LedgerEntry) -> LedgerEntry:
    tags = tuple(sorted({*one.tags, *other.tags})) if one.tags and other.tags else ()
    errors = [each for each in (one.error_percent, other.error_percent) if each is not None]
    return replace(
        one,
        from_ns=min(one.from_ns, other.from_ns),
        to_ns=max(one.to_ns, other.to_ns),
        count=None if one.count is None or other.count is None else one.count + other.count,
        tags=tags if len(tags) <= TAGS_LISTED_MAX else (),
        error_percent=max(errors, default=None),
    )
