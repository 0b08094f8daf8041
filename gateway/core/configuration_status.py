"""What the gateway knows of its own configuration."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfigurationReturn:
    """A configuration that was tried, and left again."""

    digest: str
    """Of the one that was left."""
    time_ns: int
    """When, UTC."""
    reason: str
    """Why, with the figures."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfigurationStatus:
    """Which configuration runs, and whether it may stay."""

    digest: str
    """Made from the file and its tag lists; empty where nobody keeps configurations."""
    since_ns: int
    """When it was put in force, UTC."""
    file: str
    """The file that it was read from."""
    start_file: str = ""
    """The file that the next start takes."""
    is_on_trial: bool = False
    """Whether it has yet to prove itself."""
    trial_until_ns: int | None = None
    """When it is decided whether it stays, UTC; None when it is decided, or not yet begun."""
    returned: ConfigurationReturn | None = None
    """The last one that was left again, unless another has proven itself since."""
