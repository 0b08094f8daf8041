"""How the record log commits, keeps and drops."""

from pathlib import Path
from typing import Annotated, Self

from pydantic import Field, model_validator

from gateway.core.settings import Settings

MIB = 1024 * 1024
GIB = 1024 * MIB


class EncryptionSettings(Settings):
    """Where the keys are that the log is encrypted with."""

    key_file: Path | None = None
    """File with the key, made by `edgewright log key`; or give `key_credential`."""
    key_credential: str | None = None
    """Name of the key among the credentials that systemd shows to the service."""
    previous_key_files: tuple[Path, ...] = ()
    """Earlier keys: what is in the log is still read with them, and nothing new written."""

    @model_validator(mode="after")
    def _has_one_key(self) -> Self:
        if (self.key_file is None) == (self.key_credential is None):
            raise ValueError("Give exactly one of key_file and key_credential")
        return self


class LogSettings(Settings):
    """Options of the record log."""

    group_commit_s: Annotated[float, Field(ge=0.01, le=60)] = 1.0
    """Samples are committed together once in this time: it is what a power cut can cost. A
    shorter time writes more to the flash."""
    group_commit_bytes: Annotated[int, Field(ge=4096, le=64 * MIB)] = 256 * 1024
    """Samples are committed earlier when so many bytes wait."""
    pending_bytes_max: Annotated[int, Field(ge=MIB, le=GIB)] = 32 * MIB
    """Memory for records that wait for the disk; while the disk fails, the oldest samples beyond
    it are dropped and entered into the ledger."""
    seal_after_s: Annotated[float, Field(ge=0, le=3600)] = 60.0
    """Records stay single for this long, for the uplinks; then they may be sealed into a block."""
    block_s: Annotated[float, Field(ge=0, le=86_400)] = 300.0
    """Time that a block covers at first; a longer one is written later. Neighbours are joined."""
    block_samples_max: Annotated[int, Field(ge=1024, le=1_000_000)] = 262_144
    """Samples in one block; sealing takes about 100 bytes of memory for each."""
    backlog_bytes_max: Annotated[int, Field(ge=MIB, le=1024 * GIB)] = 2 * GIB
    """Disk for records that an uplink has not delivered; beyond it samples are thinned, then the
    oldest are dropped; both are entered into the ledger."""
    backlog_age_s: Annotated[float, Field(ge=60)] | None = None
    """Undelivered samples older than this are dropped and entered into the ledger; events are not.
    Without it they are kept as long as there is room."""
    thin_error_percent: Annotated[float, Field(ge=0, le=100)] = 0.5
    """Before undelivered samples are dropped, those are taken out that a line between their
    neighbours misses by no more than this part of the tag's range; then by 4 and 16 times as much.
    At 0 nothing is thinned."""
    thin_error_percent_max: Annotated[float, Field(ge=0, le=100)] = 5.0
    """No sample is missed by more than this part of the tag's range."""
    history_bytes_max: Annotated[int, Field(ge=MIB, le=1024 * GIB)] = 512 * MIB
    """Disk for records that all uplinks have delivered, for trends and training."""
    history_age_s: Annotated[float, Field(ge=60)] = 31 * 86_400.0
    """Delivered records older than this are dropped."""
    retention_period_s: Annotated[float, Field(ge=0.05, le=3600)] = 30.0
    """Time between two looks at the bounds on disk."""
    retry_s: Annotated[float, Field(ge=0.05, le=600)] = 5.0
    """Time between two attempts while the disk fails."""
    ballast_bytes: Annotated[int, Field(ge=0, le=GIB)] = 8 * MIB
    """Disk kept aside; it is let go when the disk is full, so that there is room to act."""
    check_bytes_max: Annotated[int, Field(ge=0)] = 256 * MIB
    """After an unclean stop a log up to this size is checked from end to end before it is used."""
    encryption: EncryptionSettings | None = None
    """Encrypt what is in the log; without it, whoever has the disk can read it."""
