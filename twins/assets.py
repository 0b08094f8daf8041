"""From the configuration to twins: every asset finds those of its kind."""

from collections.abc import Mapping
from typing import Annotated, assert_never

from pydantic import Field

from gateway.core.rows import AssetId
from twins.centrifugal_pump import CentrifugalPumps, CentrifugalPumpSettings
from twins.compressor import Compressors, CompressorSettings
from twins.generic import GenericAssets, GenericSettings
from twins.member import Member
from twins.model import AssetModel
from twins.twin import AssetTwin

TwinSettings = Annotated[
    CentrifugalPumpSettings | CompressorSettings | GenericSettings, Field(discriminator="type")
]
"""The table of one asset, `[twins.NAME]`; its `type` says which."""


def build_twins(settings_by_asset: Mapping[AssetId, TwinSettings]) -> tuple[AssetTwin, ...]:
    """Return the twins of all assets, one for each type and period.

    Generic assets share a twin only where they have the same columns. Types and assets keep the
    order of the configuration.
    """
    groups: dict[tuple[object, ...], dict[AssetId, TwinSettings]] = {}
    for asset, settings in settings_by_asset.items():
        groups.setdefault(_kind(settings), {})[asset] = settings
    twins: list[AssetTwin] = []
    for group in groups.values():
        model = _model(list(group.values()))
        is_first = all(twin.asset_type != model.asset_type for twin in twins)
        name = model.asset_type if is_first else f"{model.asset_type}.{next(iter(group))}"
        members = [
            Member(
                asset=asset,
                tags={str(role): tag for role, tag in settings.tags.items()},
                settings=settings,
                configuration=settings.model_dump_json(include=_own_fields(settings)),
            )
            for asset, settings in group.items()
        ]
        twins.append(AssetTwin(name, members, model))
    return tuple(twins)


def _kind(settings: TwinSettings) -> tuple[object, ...]:
    columns = tuple(settings.tags) if isinstance(settings, GenericSettings) else ()
    return (settings.type, settings.period_s, columns)


def _own_fields(settings: TwinSettings) -> set[str]:
    """Return the fields that twins know; the gateway's own, such as alarms, are none of them."""
    known = (CentrifugalPumpSettings, CompressorSettings, GenericSettings)
    base = next(each for each in known if isinstance(settings, each))
    return set(base.model_fields)


def _model(group: list[TwinSettings]) -> AssetModel:
    match group[0]:
        case CentrifugalPumpSettings():
            return CentrifugalPumps([s for s in group if isinstance(s, CentrifugalPumpSettings)])
        case CompressorSettings():
            return Compressors([s for s in group if isinstance(s, CompressorSettings)])
        case GenericSettings():
            return GenericAssets([s for s in group if isinstance(s, GenericSettings)])
        case _:
            assert_never(group[0])
