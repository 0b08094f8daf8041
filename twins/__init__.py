"""Digital twins: what every asset is doing, what it should show, how far it is off. Pure."""

from twins.assets import TwinSettings, build_twins
from twins.centrifugal_pump import CentrifugalPumpSettings
from twins.compressor import CompressorSettings
from twins.generic import GenericSettings
from twins.twin import AssetTwin

__all__ = [
    "AssetTwin",
    "CentrifugalPumpSettings",
    "CompressorSettings",
    "GenericSettings",
    "TwinSettings",
    "build_twins",
]
