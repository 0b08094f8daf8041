"""The envelope of every record body: one version byte, the payload, a CRC-32.

    version (1 byte) · payload · CRC-32 of both (4 bytes, little endian)

The sum is checked whenever a body is opened: on disk, on the wire and in memory a body is the
same bytes, so one check finds damage wherever it happened.
"""

import struct
import zlib

from gateway.core.errors import CorruptRecordError

ENVELOPE_SIZE_BYTES = 5
"""What the envelope adds to the payload."""


def close_body(payload: bytes, *, version: int) -> bytes:
    """Return the payload with its version in front and its check sum behind.

    Args:
        payload: The content, any length.
        version: Format of the payload, 0 to 255.
    """
    assert 0 <= version <= 255, version
    content = bytes((version,)) + payload
    return content + struct.pack("<I", zlib.crc32(content))


def open_body(body: bytes) -> tuple[int, bytes]:
    """Return the version and the payload of an intact body.

    Raises:
        CorruptRecordError: it is too short, or its check sum is wrong.
    """
    if len(body) < ENVELOPE_SIZE_BYTES:
        raise CorruptRecordError(f"a record body of {len(body)} bytes is cut short")
    content = body[:-4]
    expected = int.from_bytes(body[-4:], "little")
    found = zlib.crc32(content)
    if found != expected:
        raise CorruptRecordError(
            f"a record body of {len(body)} bytes is damaged:"
            f" its check sum is {found:08x} instead of {expected:08x}"
        )
    return content[0], content[1:]


def open_version(body: bytes, version: int, *, what: str) -> bytes:
    """Return the payload of an intact body of the one version that the caller can read.

    Args:
        body: As made by `close_body`.
        version: The version expected.
        what: Noun for the message, such as `frame`.
    Raises:
        CorruptRecordError: damaged, or of another version.
    """
    found, payload = open_body(body)
    if found != version:
        raise CorruptRecordError(f"a {what} has format version {found}; only {version} is known")
    return payload
