"""What a person may set about the values of an OPC UA server: rates, makes, times."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from gateway.core.settings import Settings

INTERVAL_MS_MIN = 10
INTERVAL_MS_MAX = 86_400_000
Interval = Annotated[int, Field(ge=INTERVAL_MS_MIN, le=INTERVAL_MS_MAX)]

_RATES = {"subscribe": ("sampling_ms", "publishing_ms"), "poll": ("period_ms",)}


class RateSettings(Settings):
    """How fast some tags are, and who asks."""

    read: Literal["subscribe", "poll"] = "subscribe"
    """Let the server report what changed, or ask for all values at a fixed rate."""
    sampling_ms: Interval = 1000
    """How often the server looks at the values; of those that it reports."""
    publishing_ms: Interval = 1000
    """How often it reports what changed."""
    period_ms: Interval = 1000
    """From the start of one poll to the next; of values that are asked for."""

    @model_validator(mode="after")
    def _check_rates(self) -> Self:
        for read, names in _RATES.items():
            useless = [name for name in names if name in self.model_fields_set]
            if read != self.read and useless:
                raise ValueError(f'{useless[0]} means nothing where read = "{self.read}"')
        return self


class DataSettings(RateSettings):
    """How the values of a server are got."""

    profile: Literal["auto", "generic", "s7-1200", "s7-1500", "kepware", "ignition", "prosys"] = (
        "auto"
    )
    """Make of the server, for its limits; auto goes by the name that it gives."""
    time: Literal["source", "receipt"] = "source"
    """Time of a value: that of its source, or for sources without a clock when it came."""
    source_ahead_s_max: Annotated[float, Field(ge=1, le=31_536_000)] = 600.0
    """A source time further ahead of the gateway's clock is wrong, and not used."""
