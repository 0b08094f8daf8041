"""The versions of one model that run side by side for the assets of one type, and take turns.

Up to three versions read the same rows: the one in force, a candidate in shadow, and the former one
during probation. Each keeps its own past of every asset, so a swap between two rows goes on with
figures that have already settled: no row is missed, and none jumps because of the swap itself. Only
what the version in force says leaves the host; the others are only counted, in a `Comparison`.

The versions are held in one frozen value that is replaced as a whole. A row is read with the value
it found, so loading and swapping may happen in another thread.
"""

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Final, Generic, Protocol, Self, TypeVar

from analytics.instants import AHEAD_NS_MAX
from gateway.core.errors import ModelError
from gateway.core.frame import Origin
from gateway.core.models import Comparison
from gateway.core.rows import AssetId, Rows
from gateway.wire.bundle import Bundle

LATENCIES_MAX: Final = 1000


class AssetManifest(Protocol):
    """What the host reads of the manifest of a model that reads rows of assets."""

    @property
    def name(self) -> str:
        """Of the model, over its versions."""

    @property
    def version(self) -> str:
        """Major and minor."""

    @property
    def asset_type(self) -> str:
        """Type of the assets whose rows it reads."""


class Version(Protocol):
    """One version of a model, loaded."""

    @property
    def digest(self) -> str:
        """Of the bundle: tells its checkpoint from that of another one."""

    def rebase(self, shift_ns: int) -> None:
        """Move every remembered time."""

    def checkpoint(self) -> str:
        """Return what was remembered, as text."""

    def restore(self, checkpoint: str) -> None:
        """Go on from a checkpoint of the same version for as many assets."""


VersionT = TypeVar("VersionT", bound=Version)
LoadedT_co = TypeVar("LoadedT_co", bound=Version, covariant=True)
SaidT = TypeVar("SaidT")


class Load(Protocol[LoadedT_co]):
    """Loads a bundle for the assets of one type."""

    def __call__(
        self,
        data: bytes,
        *,
        columns: Sequence[str],
        asset_count: int,
        monotonic_ns: Callable[[], int],
    ) -> LoadedT_co:
        """Return the version, or raise `ModelError`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Turns(Generic[VersionT]):
    """The versions that run now."""

    active: VersionT | None = None
    candidate: VersionT | None = None
    former: VersionT | None = None

    @property
    def loaded(self) -> tuple[VersionT, ...]:
        """Those that are there."""
        every = (self.active, self.candidate, self.former)
        return tuple(version for version in every if version is not None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Said(Generic[SaidT]):
    """What the versions say of the rows of one instant."""

    active: SaidT | None
    candidate: SaidT | None
    former: SaidT | None

    @classmethod
    def of(cls, turns: Turns[VersionT], say: Callable[[VersionT], SaidT]) -> Self:
        """Ask every version that is there."""
        active, candidate, former = turns.active, turns.candidate, turns.former
        return cls(
            active=None if active is None else say(active),
            candidate=None if candidate is None else say(candidate),
            former=None if former is None else say(former),
        )

    def on_trial(self, origin: Origin) -> tuple[SaidT, SaidT | None] | None:
        """Return what the newer version says and the older one; None when nothing is on trial.

        Replayed rows were counted before the restart.
        """
        if origin is Origin.REPLAYED:
            return None
        if self.candidate is not None:
            return self.candidate, self.active
        if self.active is not None and self.former is not None:
            return self.active, self.former
        return None


class VersionHost(Generic[VersionT]):
    """Takes versions in and lets them take turns, as the port `ModelHost` has it.

    A subclass asks the versions in `_turns` and counts in `_comparison` what they say.
    """

    def __init__(
        self,
        load: Load[VersionT],
        open_bundle: Callable[[bytes], tuple[Bundle, AssetManifest]],
        *,
        model_name: str,
        asset_type: str,
        assets: Sequence[AssetId],
        columns: Sequence[str],
        monotonic_ns: Callable[[], int],
    ) -> None:
        """Begin without a model.

        Args:
            load: Loads a version.
            open_bundle: Opens a bundle of the kind that `load` takes, or raises `ModelError`.
            model_name: Name of the model whose versions it runs, such as `pump-anomaly`.
            asset_type: Type of the assets; a model for another one is refused.
            assets: In the order of the rows, n.
            columns: Of the rows, m; a model may read some of them.
            monotonic_ns: Tells the time for measuring latency, and for nothing else.
        """
        self._load_version = load
        self._open_bundle = open_bundle
        self._model_name = model_name
        self._asset_type = asset_type
        self._assets = tuple(assets)
        self._columns = tuple(columns)
        self._monotonic_ns = monotonic_ns
        self._turns: Turns[VersionT] = Turns()
        self._restored: dict[str, str] = {}
        self._newest_ns: int | None = None
        self._comparison = Comparison()
        self._latencies_ms: deque[float] = deque(maxlen=LATENCIES_MAX)

    @property
    def model_name(self) -> str:
        """Name of the model whose versions it runs."""
        return self._model_name

    def activate(self, bundle: bytes) -> None:
        """Put a version in force at the next row, with no version beside it.

        Raises:
            ModelError: the bundle is damaged, or not for this host.
        """
        self._swap(Turns(active=self._load(bundle)))

    def set_candidate(self, bundle: bytes | None) -> None:
        """Let a version run in shadow from the next row on, or end the shadow.

        Raises:
            ModelError: the bundle is damaged, or not for this host.
        """
        candidate = None if bundle is None else self._load(bundle)
        self._swap(replace(self._turns, candidate=candidate))

    def promote(self) -> None:
        """Swap candidate and active between two rows; the old one becomes the former version."""
        turns = self._turns
        assert turns.candidate is not None, "there is no candidate to promote"
        self._swap(Turns(active=turns.candidate, former=turns.active))

    def roll_back(self) -> None:
        """Put the former version in force again between two rows."""
        turns = self._turns
        assert turns.former is not None, "there is no former version to go back to"
        self._swap(Turns(active=turns.former, candidate=turns.candidate))

    def end_probation(self) -> None:
        """Let the former version go."""
        self._swap(replace(self._turns, former=None))

    def take_comparison(self) -> Comparison:
        """Return what was counted since the last call, and begin anew."""
        taken = replace(self._comparison, latencies_ms=tuple(self._latencies_ms))
        self._forget_comparison()
        return taken

    def rebase(self, shift_ns: int) -> None:
        """Move every remembered time: the clock that the data's times come from was set."""
        if self._newest_ns is not None:
            self._newest_ns += shift_ns
        for version in self._turns.loaded:
            version.rebase(shift_ns)

    def _newer(self, rows: Rows) -> Rows | None:
        """Return rows that are later than the last, none ahead of the clock; None for others."""
        assert rows.assets == self._assets, rows.assets
        assert rows.columns == self._columns, rows.columns
        time_ns = min(rows.time_ns, rows.received_ns + AHEAD_NS_MAX)
        if self._newest_ns is not None and time_ns <= self._newest_ns:
            return None
        self._newest_ns = time_ns
        return rows if time_ns == rows.time_ns else replace(rows, time_ns=time_ns)

    def _load(self, data: bytes) -> VersionT:
        _, manifest = self._open_bundle(data)
        if manifest.name != self._model_name or manifest.asset_type != self._asset_type:
            raise ModelError(
                f"{manifest.name} {manifest.version} is for {manifest.asset_type}; here "
                f"{self._model_name} for {self._asset_type} is run"
            )
        return self._load_version(
            data,
            columns=self._columns,
            asset_count=len(self._assets),
            monotonic_ns=self._monotonic_ns,
        )

    def _swap(self, turns: Turns[VersionT]) -> None:
        for version in turns.loaded:
            self._resume(version)
        self._turns = turns
        self._forget_comparison()

    def _forget_comparison(self) -> None:
        self._comparison = Comparison()
        self._latencies_ms.clear()

    def _remembered(self) -> dict[str, object]:
        """Return the host's part of a checkpoint; what was compared is not in it."""
        return {
            "configuration": self._configuration(),
            "newest_ns": self._newest_ns,
            "versions": {each.digest: each.checkpoint() for each in self._turns.loaded},
        }

    def _recall(self, configuration: object, newest_ns: int | None, past: dict[str, str]) -> None:
        """Go on from that part; a version that is loaded only later finds its past then.

        Raises:
            ValueError: it was made under another configuration; nothing is changed.
        """
        if configuration != self._configuration():
            raise ValueError(
                f"the checkpoint of {self._model_name} belongs to another configuration"
            )
        self._newest_ns = newest_ns
        self._restored = past
        for version in self._turns.loaded:
            self._resume(version)

    def _resume(self, version: VersionT) -> None:
        if version.digest in self._restored:
            version.restore(self._restored.pop(version.digest))

    def _configuration(self) -> list[object]:
        return [self._model_name, self._asset_type, list(self._assets), list(self._columns)]
