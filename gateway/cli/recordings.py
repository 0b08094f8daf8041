"""From recordings to the rows that a model reads: as they are, or through a twin."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Final, TypeAlias, get_args

import numpy as np
from numpy.typing import NDArray
from pydantic import TypeAdapter, ValidationError

from analytics.training.faults import FaultPattern
from gateway.config import Config
from gateway.core.arrays import FloatArray, frozen
from gateway.core.errors import ConfigError
from gateway.core.frame import Frame, Origin
from gateway.core.quality import Status, is_good
from gateway.core.rows import AssetId, OperatingState, Rows
from gateway.core.tags import ConfigEpoch, Tag, TagId, TagTable
from gateway.recordings import Recording, usual_period_s
from gateway.wire.settings_file import mistakes_of
from twins import AssetTwin, TwinSettings, build_twins
from twins.centrifugal_pump import CentrifugalPumps, PumpRole
from twins.compressor import CompressorRole, Compressors
from twins.model import Relation, Signature

GENERIC: Final = "generic"
"""The asset type of recordings that are read as they are."""
ROLES_BY_TWIN: Final[Mapping[str, tuple[str, ...]]] = {
    "centrifugal_pump": get_args(PumpRole),
    "compressor": get_args(CompressorRole),
}
"""The twins with physics, and the signals they know."""
PLAIN_ASSET: Final = AssetId("recording")
"""Stands for the machine of a recording that is read as it is."""

_ROWS_AFTER_LEARNING: Final = 10_000
"""Longer stretches are thinned: it is their length that matters, not their rows."""

LineArray: TypeAlias = NDArray[np.intp]
"""Positions of lines in a recording."""

_type_of_twin: TypeAdapter[TwinSettings] = TypeAdapter(TwinSettings)


def plain_rows(recording: Recording) -> Iterator[Rows]:
    """Yield every line of a recording as a row of one running asset; empty cells are Bad."""
    running = frozen(np.array([OperatingState.RUNNING], dtype=np.uint8))
    status = np.where(np.isnan(recording.value), np.uint32(Status.BAD), np.uint32(Status.GOOD))
    for time_ns, value, codes in zip(recording.time_ns, recording.value, status, strict=True):
        yield Rows(
            asset_type=GENERIC,
            assets=(PLAIN_ASSET,),
            columns=recording.columns,
            time_ns=int(time_ns),
            value=frozen(value[np.newaxis].copy()),
            status=frozen(codes[np.newaxis].astype(np.uint32)),
            state=running,
            received_ns=int(time_ns),
            arrival_ns=0,
            origin=Origin.HISTORICAL,
        )


def known_faults(twin_type: str) -> tuple[FaultPattern, ...]:
    """Return the faults that a twin can name, as patterns of its residuals."""
    relations: tuple[Relation, ...] = ()
    signatures: tuple[Signature, ...] = ()
    match twin_type:
        case "centrifugal_pump":
            relations, signatures = CentrifugalPumps.relations, CentrifugalPumps.signatures
        case "compressor":
            relations, signatures = Compressors.relations, Compressors.signatures
    column_by_signal = {relation.signal: relation.sigmas_column for relation in relations}
    return tuple(
        FaultPattern(
            name=each.cause,
            signs={column_by_signal[signal]: float(sign) for signal, sign in each.signs},
        )
        for each in signatures
    )


class TwinRecording:
    """A recording of assets of one type, ready to go through their twin."""

    def __init__(self, recording: Recording, twin_type: str, config: Config | None = None) -> None:
        """Find the assets and their signals among the columns.

        Args:
            recording: Columns named `asset.signal`, or as tags of the configuration.
            twin_type: One of `ROLES_BY_TWIN`.
            config: Whose assets and nameplates to take; None takes every asset in the recording
                whose columns are all signals of the type, with the usual nameplate.
        Raises:
            ConfigError: there is no such asset, or a mistake in what the type needs.
        """
        tables = (
            _assets_of_columns(recording.columns, twin_type)
            if config is None
            else _assets_of_config(recording.columns, twin_type, config)
        )
        if not tables:
            raise ConfigError(
                f"the recording holds no {twin_type}: name the columns asset.signal, such as "
                f"P-101.{ROLES_BY_TWIN[twin_type][0]}"
            )
        self._recording = recording
        period_s = usual_period_s(recording.time_ns)
        self._settings: dict[AssetId, TwinSettings] = {
            # Every line holds every signal, so a thinned stretch makes nothing stale.
            AssetId(asset): _settings(
                asset, {**table, "period_s": period_s, "stale_after_s": 86_400}
            )
            for asset, table in tables.items()
        }

    def new_twin(self) -> AssetTwin:
        """Return the assets' twin, knowing nothing yet."""
        (twin,) = build_twins(self._settings)
        return twin

    def rows(self, twin: AssetTwin, lines: LineArray | None = None) -> Iterator[Rows]:
        """Yield the rows that a twin makes of the recording, or of some of its lines."""
        recording = self._recording
        names = [name for name in recording.columns if _tag_of(name) in set(twin.measured_tags)]
        table = TagTable.build(
            [*(Tag(id=_tag_of(name)) for name in names), *twin.derived_tags], epoch=ConfigEpoch(1)
        )
        twin.bind(table)
        tag_index = table.indices([_tag_of(name) for name in names])
        at = [recording.columns.index(name) for name in names]
        for line in np.arange(len(recording.time_ns)) if lines is None else lines:
            value = recording.value[line, at]
            known = np.isfinite(value)
            time_ns = int(recording.time_ns[line])
            frame = Frame(
                tag_index=tag_index[known],
                time_ns=np.full(int(known.sum()), time_ns),
                value=value[known],
                status=np.zeros(int(known.sum()), dtype=np.uint32),
                received_ns=time_ns,
                origin=Origin.HISTORICAL,
            )
            yield from twin.update(frame).rows

    def healthy_runs(self) -> tuple[tuple[str, ...], list[FloatArray]]:
        """Return the columns a model should read, and the rows of each running asset.

        The columns are the residuals in standard deviations: what physics does not explain,
        whatever the machine's size and load. The first rows of each running asset are the twin's
        to learn from.

        Raises:
            ConfigError: the signals of an asset explain nothing.
        """
        twin = self.new_twin()
        derived = {tag.id for tag in twin.derived_tags}
        columns = tuple(
            name
            for name in twin.comparable_columns
            if all(f"{asset}.{name}" in derived for asset in twin.assets)
        )
        if not columns:
            raise ConfigError(
                "the recording has too few signals: for no asset does one explain another"
            )
        return columns, _good_runs(list(self.rows(twin, self._lines())), columns)

    def _lines(self) -> LineArray:
        """Return the lines that the twin is to see: those after its learning are thinned."""
        count = len(self._recording.time_ns)
        learning = max(each.commissioning_rows for each in self._settings.values())
        # Enough for settling and learning at the full rate.
        full = min(2 * learning, count)
        step = max(1, -(-(count - full) // _ROWS_AFTER_LEARNING))
        return np.concatenate([np.arange(full), np.arange(full, count, step)])


def _assets_of_columns(columns: Sequence[str], twin_type: str) -> dict[str, dict[str, object]]:
    """Return the tables of all assets whose columns are signals of the type, and nothing else."""
    roles_by_asset: dict[str, list[str]] = {}
    for name in columns:
        asset, _, role = name.rpartition(".")
        roles_by_asset.setdefault(asset, []).append(role)
    return {
        asset: {
            "type": twin_type,
            "tags": {role: _tag_of(f"{asset}.{role}") for role in roles},
        }
        for asset, roles in roles_by_asset.items()
        if asset and set(roles) <= set(ROLES_BY_TWIN[twin_type])
    }


def _assets_of_config(
    columns: Sequence[str], twin_type: str, config: Config
) -> dict[str, dict[str, object]]:
    """Return the tables of the configured assets of the type that the columns speak of."""
    tables: dict[str, dict[str, object]] = {}
    for asset, settings in config.twins.items():
        names = {
            str(role): name
            for role, tag in settings.tags.items()
            for name in (f"{asset}.{role}", str(tag))
            if name in columns
        }
        if settings.type == twin_type and names:
            tags = {role: _tag_of(name) for role, name in names.items()}
            tables[asset] = {**settings.model_dump(exclude={"alarms", "vibration"}), "tags": tags}
    return tables


def _settings(asset: str, table: Mapping[str, object]) -> TwinSettings:
    try:
        return _type_of_twin.validate_python(table)
    except ValidationError as error:
        raise ConfigError(*(f"{asset}.{mistake}" for mistake in mistakes_of(error))) from error


def _tag_of(column: str) -> TagId:
    """Return the tag that a column is fed as; a twin's own tags are called `asset.signal`."""
    return TagId(f"recording.{column}")


def _good_runs(rows: Sequence[Rows], columns: Sequence[str]) -> list[FloatArray]:
    """Return each asset's rows of these columns, while it runs and all of them are Good."""
    if not rows:
        return []
    at = [rows[0].columns.index(name) for name in columns]
    value = np.stack([each.value[:, at] for each in rows])
    good = np.stack([is_good(each.status[:, at]).all(axis=1) for each in rows])
    running = np.stack([each.state == OperatingState.RUNNING for each in rows])
    runs = [value[good[:, k] & running[:, k], k] for k in range(value.shape[1])]
    return [run for run in runs if len(run)]
