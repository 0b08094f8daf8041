"""What a configuration will cost before it has run: samples, disk, flash, and the buffer's length.

Every tag counts at the period of its own group, as its tag list says.
"""

from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from connectors.opcua.data_settings import RateSettings
from connectors.sheet import read_sheet
from gateway.config import Config
from gateway.core.errors import ConfigError
from gateway.core.settings import Settings
from gateway.service.build import Parts
from gateway.service.configurations import sheets_of
from gateway.store import expected_gain

BYTES_PER_SAMPLE: Final = 2.5
"""On disk, sealed, for slowly changing signals; derived samples cost the same."""
PAGE_BYTES: Final = 4096
PAGES_PER_COMMIT: Final = 5
"""Written for a commit whatever is in it: the ends of the tables, their counter, the cursors, and
one more as pages lie across those of the disk. Measured: 19 to 23 kB."""
COPIES: Final = 6
"""Of each sample: single, sealed, and joined with others, each in the write-ahead log first and
then in the file. Measured: 6 to 20 bytes a sample with bodies of 1.2 to 3."""
SLOWER_COMMIT: Final = 10
"""What a group commit so many times as long would save is worth telling."""
DAY_S: Final = 86_400
PUBLISHED_PERIOD_MS: Final = 1000
"""What is reckoned with where machines publish when they like."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Forecast:
    """What a configuration will cost, before it has run."""

    samples_per_s: float
    """Measured and computed, at the configured rates."""
    buffer_days: float
    """How long the log holds everything without the cloud."""
    buffer_thinned_days: float
    """How long until samples must be dropped: they are thinned before, which is an estimate."""
    bytes_per_day: int
    """Growth of the log."""
    flash_bytes_per_day: int
    """Written to the flash, with commits and sealing."""
    power_cut_s: float
    """What a power cut can cost at the most."""
    flash_bytes_per_day_slower: int
    """Written to the flash if the group commit, and so that cost, were `SLOWER_COMMIT` times as
    long."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TagPlace:
    """Where a tag stands in its list."""

    line: int
    """From 1."""
    group: str
    """Empty is the connector's own rate."""


def forecast_of(config: Config, parts: Parts) -> Forecast:
    """Return what a configuration will cost at its configured rates."""
    sheets = sheets_of(config)
    measured = sum(
        samples_per_s(settings, sheet=sheets.get(connector.name), tag_count=len(connector.tags))
        for connector, settings in zip(parts.connectors, config.connectors.values(), strict=True)
    )
    derived = sum(
        len(twin.derived_tags) / config.twins[asset].period_s
        for twin in parts.twins
        for asset in twin.assets[:1]
    )
    total_per_s = measured + derived
    bytes_per_day = total_per_s * BYTES_PER_SAMPLE * DAY_S
    buffer_days = config.log.backlog_bytes_max / max(bytes_per_day, 1)
    window_s = config.log.group_commit_s
    return Forecast(
        samples_per_s=total_per_s,
        buffer_days=buffer_days,
        buffer_thinned_days=buffer_days * expected_gain(config.log),
        bytes_per_day=round(bytes_per_day),
        flash_bytes_per_day=flash_bytes_per_day(total_per_s, group_commit_s=window_s),
        power_cut_s=window_s,
        flash_bytes_per_day_slower=flash_bytes_per_day(
            total_per_s, group_commit_s=SLOWER_COMMIT * window_s
        ),
    )


def flash_bytes_per_day(samples_per_s: float, *, group_commit_s: float) -> int:
    """Return what the log writes to the flash in a day, about.

    Args:
        samples_per_s: Stored; where they come less often than commits are due, so do commits.
        group_commit_s: Time from one commit to the next.
    """
    commits_per_s = min(1 / group_commit_s, samples_per_s)
    sample_bytes = samples_per_s * BYTES_PER_SAMPLE * COPIES
    return round((commits_per_s * PAGES_PER_COMMIT * PAGE_BYTES + sample_bytes) * DAY_S)


def samples_per_s(settings: Settings, *, sheet: Path | None, tag_count: int) -> float:
    """Return how many samples a connector can have at the most, each tag at its group's rate.

    Args:
        settings: Of the connector.
        sheet: Its tag list, if it has one.
        tag_count: Its tags; those that no line of the list is for come at the connector's rate.
    """
    groups = Counter(place.group for place in tag_places(sheet).values()) if sheet else Counter()
    named = {name: count for name, count in groups.items() if name}
    rates: dict[str, Settings] = getattr(settings, "groups", {})
    grouped = sum(
        count * 1000 / period_ms(rates.get(name, settings)) for name, count in named.items()
    )
    rest = max(tag_count - sum(named.values()), 0)
    return grouped + rest * 1000 / period_ms(settings)


def period_ms(rate: Settings) -> float:
    """Return how often tags at this rate, a group's or a connector's, can have new values."""
    if isinstance(rate, RateSettings) and rate.read == "subscribe":
        return rate.sampling_ms
    period: float = getattr(rate, "period_ms", PUBLISHED_PERIOD_MS)
    return period


def tag_places(sheet: Path) -> dict[str, TagPlace]:
    """Return where each tag of a list stands, by the tag's name; empty where the list tells none.

    The list was read in full by its connector before: mistakes in it are not told again.
    """
    try:
        lines = read_sheet(sheet, ("tag", "group"), required=("tag",)).lines
    except ConfigError:
        return {}
    return {
        line.text("tag"): TagPlace(line=line.number, group=line.text("group")) for line in lines
    }
