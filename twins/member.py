"""One asset as its twin knows it from the configuration."""

from dataclasses import dataclass

from gateway.core.rows import AssetId
from gateway.core.tags import TagId
from twins.settings import AssetSettings


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """One asset of a type: what the twin needs to know of its table in the configuration."""

    asset: AssetId
    tags: dict[str, TagId]
    """The tag of each mapped role."""
    settings: AssetSettings
    configuration: str
    """All of the asset's table that the numbers in a checkpoint depend on."""
