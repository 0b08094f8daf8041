"""Model bundles: whole, deterministic, and safe to read from a stranger."""

import io
import json
import zipfile
from collections.abc import Mapping

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.core.errors import ModelError
from gateway.core.manifest import VisionManifest
from gateway.wire.bundle import BUNDLE_SIZE_BYTES_MAX, Bundle, read_bundle, write_bundle
from tests.analytics.bundles import MODEL, small_bundle, small_canary, small_manifest

VISION = VisionManifest(
    name="faces",
    version="1.0",
    labels=("face",),
    input_name="input",
    width_px=320,
    height_px=240,
    colour_order="rgb",
    resize="stretch",
    decoder="ultraface",
)


def zip_of(parts: Mapping[str, bytes], *, method: int = zipfile.ZIP_STORED) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as archive:
        for name, part in parts.items():
            archive.writestr(name, part)
    return buffer.getvalue()


def parts_of(data: bytes) -> dict[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def npy_with_header(header: str, content: bytes = b"") -> bytes:
    text = header.encode() + b"\n"
    return b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text + content


def with_canary_array(name: str, array: bytes) -> bytes:
    parts = parts_of(write_bundle(small_bundle()))
    canary = parts_of(parts["canary.npz"])
    parts["canary.npz"] = zip_of({**canary, name: array})
    return zip_of(parts)


def test_what_was_written_is_read_back() -> None:
    bundle = small_bundle()
    again = read_bundle(write_bundle(bundle))
    assert bundle.manifest == again.manifest
    assert bundle.model == again.model
    assert bundle.canary is not None
    assert again.canary is not None
    np.testing.assert_array_equal(bundle.canary.healthy, again.canary.healthy)
    np.testing.assert_array_equal(bundle.canary.faults, again.canary.faults)
    assert bundle.canary.fault_names == again.canary.fault_names
    assert not again.canary.healthy.flags.writeable


def test_the_same_bundle_gives_the_same_bytes() -> None:
    """Also when the metrics were measured in another order."""
    turned = small_manifest(metrics={"a": 1.0, "b": 2.0})
    again = Bundle(manifest=turned, model=MODEL, canary=small_canary())
    assert write_bundle(small_bundle()) == write_bundle(again)


def test_canary_cases_are_plain_npz() -> None:
    with np.load(io.BytesIO(parts_of(write_bundle(small_bundle()))["canary.npz"])) as canary:
        assert {"healthy", "faults", "fault_names"} == set(canary)


def test_a_vision_bundle_has_no_canary() -> None:
    again = read_bundle(write_bundle(Bundle(manifest=VISION, model=MODEL, canary=None)))
    assert again.manifest == VISION
    assert again.canary is None


def test_every_truncation_is_refused() -> None:
    data = write_bundle(small_bundle())
    for size in range(0, len(data), 7):
        with pytest.raises(ModelError):
            read_bundle(data[:size])


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_damage_is_refused_or_without_effect(data: st.DataObject) -> None:
    """One changed byte anywhere gives a ModelError or the very same content, nothing else."""
    whole = write_bundle(small_bundle())
    place = data.draw(st.integers(0, len(whole) - 1))
    damaged = bytearray(whole)
    damaged[place] ^= data.draw(st.integers(1, 255))
    try:
        again = read_bundle(bytes(damaged))
    except ModelError:
        return
    assert write_bundle(again) == whole


@given(st.binary(max_size=400))
def test_noise_is_refused(noise: bytes) -> None:
    with pytest.raises(ModelError):
        read_bundle(noise)


def test_a_packed_part_is_refused() -> None:
    parts = parts_of(write_bundle(small_bundle()))
    with pytest.raises(ModelError, match="packed"):
        read_bundle(zip_of({**parts, "model.onnx": bytes(10**6)}, method=zipfile.ZIP_DEFLATED))


@pytest.mark.parametrize("name", ["../../etc/passwd", "extra.txt", "/model.onnx", "MODEL.ONNX"])
def test_an_unexpected_name_is_refused(name: str) -> None:
    parts = parts_of(write_bundle(small_bundle()))
    parts.pop("canary.npz")
    with pytest.raises(ModelError, match="not expected"):
        read_bundle(zip_of({**parts, name: b"x"}))


def test_many_parts_are_refused() -> None:
    with pytest.raises(ModelError, match="parts"):
        read_bundle(zip_of({f"part-{i}": b"" for i in range(1000)}))


def test_a_repeated_part_is_refused() -> None:
    parts = parts_of(write_bundle(small_bundle()))
    parts.pop("canary.npz")
    data = zip_of({**parts, "model.onny": b"another graph"}).replace(b"model.onny", b"model.onnx")
    with pytest.raises(ModelError, match="not expected"):
        read_bundle(data)


def test_a_large_file_is_refused_unread() -> None:
    with pytest.raises(ModelError, match="at most"):
        read_bundle(bytes(BUNDLE_SIZE_BYTES_MAX + 1))


def test_a_large_model_is_not_written() -> None:
    large = Bundle(manifest=VISION, model=bytes(48 * 1024 * 1024 + 1), canary=None)
    with pytest.raises(ModelError, match=r"model\.onnx"):
        write_bundle(large)


@pytest.mark.parametrize(
    "header",
    [
        "{'descr': '<f4', 'fortran_order': False, 'shape': (1000000000, 1000000)}",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (-5, -2)}",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (0, 2)}",
        "{'descr': '|O', 'fortran_order': False, 'shape': (5, 2)}",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (5",
        "{'descr': '<U0', 'fortran_order': False, 'shape': (5000000,)}",
        "(" * 900,
        "no header",
    ],
)
def test_an_array_that_promises_what_is_not_there_is_refused(header: str) -> None:
    with pytest.raises(ModelError):
        read_bundle(with_canary_array("healthy.npy", npy_with_header(header)))


def test_canary_values_are_numbers_of_the_right_shape() -> None:
    buffer = io.BytesIO()
    np.save(buffer, np.full((5, 2), np.nan, dtype=np.float32))
    with pytest.raises(ModelError, match="no numbers"):
        read_bundle(with_canary_array("healthy.npy", buffer.getvalue()))
    buffer = io.BytesIO()
    np.save(buffer, np.zeros((5, 3), dtype=np.float32))
    with pytest.raises(ModelError, match="for 2 columns"):
        read_bundle(with_canary_array("healthy.npy", buffer.getvalue()))


def test_an_anomaly_model_without_cases_is_refused() -> None:
    parts = parts_of(write_bundle(small_bundle()))
    parts.pop("canary.npz")
    with pytest.raises(ModelError, match="canary"):
        read_bundle(zip_of(parts))


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("version", "1"),
        ("name", "../up"),
        ("kind", "unknown"),
        ("columns", []),
        ("columns", ["a", "a"]),
        ("surprise", 1),
        ("period_s", 0),
    ],
)
def test_a_wrong_manifest_is_refused(field: str, value: object) -> None:
    parts = parts_of(write_bundle(small_bundle()))
    manifest = json.loads(parts["manifest.json"])
    manifest[field] = value
    parts["manifest.json"] = json.dumps(manifest).encode()
    with pytest.raises(ModelError):
        read_bundle(zip_of(parts))
