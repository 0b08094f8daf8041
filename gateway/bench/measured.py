"""What a run measures of its own process, whoever runs in it."""

import math
import resource
import time
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """What was measured in the window."""

    begun_s: float
    """On the monotonic clock, which all processes share."""
    seconds: float
    samples: int
    """Received from the servers."""
    cpu_s: float
    """Of the process, all threads."""
    rss_mb: float
    """At the end of the window."""
    skipped_samples: int
    """Not asked for, because a scan could not start in time."""
    age_p50_ms: float | None = None
    """From the time that the server wrote into the value until it was processed."""
    age_p99_ms: float | None = None

    @property
    def cpu_us_per_sample(self) -> float:
        """Processor time for one sample; infinite when there was none."""
        return self.cpu_s / self.samples * 1e6 if self.samples else math.inf

    @property
    def samples_per_s(self) -> float:
        """Received from the servers."""
        return self.samples / self.seconds


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """What is counted, at one instant."""

    samples: int
    skipped_samples: int
    cpu_s: float
    at_s: float


def counts_now(samples: int, skipped_samples: int) -> Counts:
    """Return counts with the processor time of this process up to now."""
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return Counts(
        samples=samples,
        skipped_samples=skipped_samples,
        cpu_s=usage.ru_utime + usage.ru_stime,
        at_s=time.monotonic(),
    )


def measured_between(before: Counts, after: Counts) -> Measured:
    """Return what happened between two instants, ages apart."""
    return Measured(
        begun_s=before.at_s,
        seconds=after.at_s - before.at_s,
        samples=after.samples - before.samples,
        cpu_s=after.cpu_s - before.cpu_s,
        rss_mb=_rss_mb(),
        skipped_samples=after.skipped_samples - before.skipped_samples,
    )


def _rss_mb() -> float:
    status = Path("/proc/self/status").read_text(encoding="ascii")
    resident = next(line for line in status.splitlines() if line.startswith("VmRSS"))
    return round(int(resident.split()[1]) / 1024, 1)
