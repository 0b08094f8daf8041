"""Model bundles (`.ewm`): one file that holds a model and everything it says of itself.

A bundle is a zip archive of `manifest.json`, `model.onnx` and, for an anomaly model, `canary.npz`;
nothing else, nothing compressed, no dates, so that the same content always gives the same bytes
and the hash that TUF vouches for can be made again. The bytes may come from anywhere: sizes and
names are checked before anything is unpacked, arrays before anything is allocated, and whatever
is wrong is a `ModelError`. No check here says that a bundle can be trusted; TUF says that.
"""

import json
import struct
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from io import BytesIO
from math import prod
from tokenize import TokenError
from typing import Annotated, Final

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray
from pydantic import Field, TypeAdapter, ValidationError

from gateway.core.arrays import Float32Array, frozen
from gateway.core.errors import ModelError
from gateway.core.manifest import AnomalyManifest, VisionManifest
from gateway.core.rul_manifest import RulManifest
from gateway.core.vibration_manifest import VibrationManifest

BUNDLE_SIZE_BYTES_MAX: Final = 64 * 1024 * 1024
"""A larger file is refused unread."""

_MANIFEST: Final = "manifest.json"
_MODEL: Final = "model.onnx"
_CANARY: Final = "canary.npz"
_SIZE_BYTES_MAX: Final = {
    _MANIFEST: 256 * 1024,
    _MODEL: 48 * 1024 * 1024,
    _CANARY: 8 * 1024 * 1024,
}
_CANARY_SIZE_BYTES_MAX: Final = {
    "healthy.npy": 8 * 1024 * 1024,
    "faults.npy": 8 * 1024 * 1024,
    "fault_names.npy": 64 * 1024,
}
_DIRECTORY_END: Final = struct.Struct("<4s4H2LH")
"""End of a zip's central directory (APPNOTE 4.3.16), which closes the file."""
_DIRECTORY_SIZE_BYTES_MAX: Final = 1024
_ZIP64_LOCATOR: Final = b"PK\x06\x07"
_ZIP64_LOCATOR_SIZE_BYTES: Final = 20
_WRITTEN: Final = (1980, 1, 1, 0, 0, 0)
"""The earliest date a zip can hold: the date says nothing and must not change the bytes."""

Manifest = AnomalyManifest | VisionManifest | VibrationManifest | RulManifest
"""What a bundle can say of itself."""

type_of_manifest: TypeAdapter[Manifest] = TypeAdapter(
    Annotated[Manifest, Field(discriminator="kind")]
)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Canary:
    """Cases that every version of an anomaly model must get right before it is used."""

    healthy: Float32Array
    """Rows of healthy machines on which it must stay silent, shape (k, m), finite."""
    faults: Float32Array
    """Known faults, each a run of r rows in time order, shape (f, r, m), finite."""
    fault_names: tuple[str, ...]
    """Name of each fault, f of them, each once."""

    def __post_init__(self) -> None:
        """Switch writing off."""
        frozen(self.healthy)
        frozen(self.faults)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Bundle:
    """A model with its manifest and its canary cases."""

    manifest: Manifest
    model: bytes
    """The ONNX graph, not looked at here."""
    canary: Canary | None
    """An anomaly model always has cases, the others never."""

    def __post_init__(self) -> None:
        """Check that manifest and canary cases belong together."""
        mistake = _mismatch(self.manifest, self.canary)
        assert mistake is None, mistake


def write_bundle(bundle: Bundle) -> bytes:
    """Return the bundle as the bytes of an `.ewm` file; the same bundle gives the same bytes.

    Raises:
        ModelError: a part is larger than `read_bundle` would take.
    """
    manifest = bundle.manifest.model_dump(mode="json")
    parts = {
        _MANIFEST: json.dumps(manifest, sort_keys=True, indent=1, ensure_ascii=False).encode(),
        _MODEL: bundle.model,
    }
    if bundle.canary is not None:
        parts[_CANARY] = _pack(
            {
                "healthy.npy": _array_bytes(bundle.canary.healthy),
                "faults.npy": _array_bytes(bundle.canary.faults),
                "fault_names.npy": _array_bytes(np.array(bundle.canary.fault_names, dtype=np.str_)),
            }
        )
    for name, part in parts.items():
        if len(part) > _SIZE_BYTES_MAX[name]:
            raise ModelError(
                f"{name} of the model would have {len(part)} bytes; "
                f"a bundle takes {_SIZE_BYTES_MAX[name]}"
            )
    return _pack(parts)


def read_bundle(data: bytes) -> Bundle:
    """Return the bundle in the bytes of an `.ewm` file.

    Raises:
        ModelError: the bytes are not a bundle, or what they hold contradicts itself; says what.
    """
    if len(data) > BUNDLE_SIZE_BYTES_MAX:
        raise ModelError(f"the bundle has {len(data)} bytes; at most {BUNDLE_SIZE_BYTES_MAX}")
    parts = _unpack(data, size_bytes_max=_SIZE_BYTES_MAX)
    missing = {_MANIFEST, _MODEL} - parts.keys()
    if missing:
        raise ModelError(f"the bundle lacks {', '.join(sorted(missing))}")
    try:
        manifest = type_of_manifest.validate_json(parts[_MANIFEST])
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        place = ".".join(str(step) for step in first["loc"])
        raise ModelError(f"the bundle's manifest is wrong: {place}: {first['msg']}") from error
    canary = _read_canary(parts[_CANARY]) if _CANARY in parts else None
    mistake = _mismatch(manifest, canary)
    if mistake is not None:
        raise ModelError(mistake)
    return Bundle(manifest=manifest, model=parts[_MODEL], canary=canary)


def _mismatch(manifest: Manifest, canary: Canary | None) -> str | None:
    """Return why these two cannot be one bundle; None when they can."""
    if not isinstance(manifest, AnomalyManifest):
        return None if canary is None else f"a {manifest.kind} model has no canary cases"
    if canary is None:
        return "an anomaly model must bring its canary cases"
    column_count = len(manifest.columns)
    if column_count == 0 or len(set(manifest.columns)) != column_count:
        return f"the manifest's columns are empty or repeated: {manifest.columns!r}"
    if canary.healthy.ndim != 2 or canary.healthy.shape[1] != column_count:
        return f"healthy canary rows of shape {canary.healthy.shape} for {column_count} columns"
    if canary.faults.ndim != 3 or canary.faults.shape[2] != column_count:
        return f"canary faults of shape {canary.faults.shape} for {column_count} columns"
    if 0 in canary.healthy.shape or 0 in canary.faults.shape:
        return "the canary cases are empty"
    names = canary.fault_names
    if len(names) != len(canary.faults) or len(set(names)) != len(names):
        return f"{len(canary.faults)} canary faults with the names {names!r}"
    if not (np.isfinite(canary.healthy).all() and np.isfinite(canary.faults).all()):
        return "the canary cases hold values that are no numbers"
    return None


def _read_canary(data: bytes) -> Canary:
    arrays = _unpack(data, size_bytes_max=_CANARY_SIZE_BYTES_MAX)
    missing = _CANARY_SIZE_BYTES_MAX.keys() - arrays.keys()
    if missing:
        raise ModelError(f"the bundle's canary cases lack {', '.join(sorted(missing))}")
    names = _array(arrays["fault_names.npy"], kind="U")
    return Canary(
        healthy=_array(arrays["healthy.npy"], kind="f").astype(np.float32),
        faults=_array(arrays["faults.npy"], kind="f").astype(np.float32),
        fault_names=tuple(str(name) for name in names.ravel()),
    )


def _pack(parts: Mapping[str, bytes]) -> bytes:
    """Return a zip of these parts, stored as they are, in this order."""
    buffer = BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        for name, part in parts.items():
            entry = zipfile.ZipInfo(name, date_time=_WRITTEN)
            entry.create_system = 3  # Unix, wherever it is written
            entry.external_attr = 0o644 << 16
            archive.writestr(entry, part)
    return buffer.getvalue()


def _unpack(data: bytes, *, size_bytes_max: Mapping[str, int]) -> dict[str, bytes]:
    """Return the parts of a zip, whose names and sizes must be in the mapping."""
    _check_directory(data, entry_count_max=len(size_bytes_max))
    parts: dict[str, bytes] = {}
    try:
        with zipfile.ZipFile(BytesIO(data)) as archive:
            for entry in archive.infolist():
                if entry.filename not in size_bytes_max or entry.filename in parts:
                    raise ModelError(f"the bundle holds {entry.filename!r}, which is not expected")
                if entry.compress_type != zipfile.ZIP_STORED or entry.flag_bits & 1:
                    raise ModelError(f"{entry.filename} in the bundle is packed or encrypted")
                if entry.file_size > min(size_bytes_max[entry.filename], len(data)):
                    raise ModelError(f"{entry.filename} in the bundle is too large")
                parts[entry.filename] = archive.read(entry)
    except (zipfile.BadZipFile, EOFError, ValueError, NotImplementedError, struct.error) as error:
        raise ModelError(f"the bundle is damaged: {error}") from error
    return parts


def _check_directory(data: bytes, *, entry_count_max: int) -> None:
    """Refuse a zip whose directory is large: zipfile makes an object of every entry."""
    if len(data) < _DIRECTORY_END.size:
        raise ModelError("the bundle is damaged: it is too short for a zip archive")
    mark, _, _, _, entry_count, size_bytes, _, _ = _DIRECTORY_END.unpack(
        data[-_DIRECTORY_END.size :]
    )
    locator = data[-_DIRECTORY_END.size - _ZIP64_LOCATOR_SIZE_BYTES :][: len(_ZIP64_LOCATOR)]
    if mark != b"PK\x05\x06" or locator == _ZIP64_LOCATOR:
        raise ModelError("the bundle is damaged or no zip archive")
    if entry_count > entry_count_max or size_bytes > _DIRECTORY_SIZE_BYTES_MAX:
        raise ModelError(f"the bundle has {entry_count} parts; at most {entry_count_max} belong")


def _array_bytes(array: NDArray[np.float32] | NDArray[np.str_]) -> bytes:
    """Return the array in numpy's own format."""
    buffer = BytesIO()
    npy.write_array(buffer, np.ascontiguousarray(array), version=(1, 0), allow_pickle=False)
    return buffer.getvalue()


def _array(data: bytes, *, kind: str) -> NDArray[np.generic]:
    """Return the array in numpy's format 1.0, of a dtype of the given kind.

    numpy's reader allocates what the header promises before it looks for the data; here the
    promise must equal the bytes that are there.
    """
    buffer = BytesIO(data)
    try:
        if npy.read_magic(buffer) != (1, 0):
            raise ModelError("the bundle's canary cases are in another array format")
        shape, is_fortran, dtype = npy.read_array_header_1_0(buffer)
    except (ValueError, SyntaxError, TypeError, RecursionError, TokenError) as error:
        raise ModelError(f"the bundle's canary cases are damaged: {error}") from error
    content = data[buffer.tell() :]
    is_whole = min(shape, default=0) > 0 and prod(shape) * dtype.itemsize == len(content) > 0
    if dtype.kind != kind or is_fortran or not is_whole:
        raise ModelError(f"the bundle's canary cases are damaged: {dtype} of shape {shape}")
    return np.frombuffer(content, dtype=dtype).reshape(shape)
