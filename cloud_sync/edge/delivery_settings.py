"""How an uplink delivers: batches, the present and the past, a budget, and waiting in an outage."""

from typing import Annotated, Self

from pydantic import Field, model_validator

from gateway.core.settings import Settings


class DeliverySettings(Settings):
    """How records are put together for an uplink, and how an outage is waited out."""

    linger_s: Annotated[float, Field(ge=0, le=60)] = 0.1
    """Once all is delivered, new samples wait this long for more to go with them."""
    batch_records_max: Annotated[int, Field(ge=1, le=100_000)] = 5000
    """Records in one batch at the most."""
    batch_size_bytes_min: Annotated[int, Field(ge=1024, le=1024 * 1024)] = 16 * 1024
    """Batches do not shrink below this on a slow link."""
    batch_size_bytes_max: Annotated[int, Field(ge=1024 * 1024, le=32 * 1024 * 1024)] = (
        2 * 1024 * 1024
    )
    """Batches do not grow above this on a fast link; a single larger record still goes out."""
    batch_target_s: Annotated[float, Field(gt=0, le=600)] = 5.0
    """Time that one batch may take; its size follows."""
    live_lag_s: Annotated[float, Field(gt=0, le=3600)] = 5.0
    """Samples that have waited for longer are left to the backfill, which is told as historical,
    so that those of the present never wait behind them. The more stretches wait, the longer."""
    backfill_share: Annotated[float, Field(ge=0, le=1)] = 0.5
    """Part of the bandwidth for the backfill while new samples need the rest; it has all that is
    free otherwise."""
    budget_bytes_per_day: Annotated[int, Field(ge=65_536)] | None = None
    """What may be sent in a day (UTC) over a metered link. At 80 % of it the backfill waits, then
    the samples; alarms go out always. Without it, any amount."""
    retry_first_s: Annotated[float, Field(gt=0, le=60)] = 0.5
    """Widest wait after the first failure; it doubles with each further one."""
    retry_cap_s: Annotated[float, Field(ge=0.1, le=3600)] = 60.0
    """Widest wait between two attempts; not below `retry_first_s`."""
    healthy_s: Annotated[float, Field(ge=0, le=86_400)] = 60.0
    """After working for so long, the next failure waits `retry_first_s` again."""

    @model_validator(mode="after")
    def _waits_rise(self) -> Self:
        if self.retry_cap_s < self.retry_first_s:
            raise ValueError(
                f"retry_cap_s {self.retry_cap_s:g} is below retry_first_s {self.retry_first_s:g}"
            )
        return self
