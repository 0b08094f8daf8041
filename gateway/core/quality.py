"""Quality of a value: the OPC UA status code is kept, the three-step quality follows from it.

OPC 10000-4, 7.39: the two topmost bits of a StatusCode are its severity, 00 Good, 01 Uncertain,
10 Bad; 11 is reserved and read here as Bad. One column (`status`, uint32) therefore carries both.
"""

from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from gateway.core.arrays import StatusArray


class Quality(IntEnum):
    """How far a value can be trusted; a higher number is a worse quality."""

    GOOD = 0
    UNCERTAIN = 1
    BAD = 2


class Status(IntEnum):
    """The OPC UA status codes that the gateway itself assigns (OPC 10000-4, 7.39.2)."""

    GOOD = 0x0000_0000
    UNCERTAIN = 0x4000_0000
    UNCERTAIN_LAST_USABLE_VALUE = 0x4090_0000
    UNCERTAIN_ENGINEERING_UNITS_EXCEEDED = 0x4094_0000
    UNCERTAIN_CONFIGURATION_ERROR = 0x420F_0000
    BAD = 0x8000_0000
    BAD_UNEXPECTED_ERROR = 0x8001_0000
    BAD_COMMUNICATION_ERROR = 0x8005_0000
    BAD_DECODING_ERROR = 0x8007_0000
    BAD_NO_COMMUNICATION = 0x8031_0000
    BAD_WAITING_FOR_INITIAL_DATA = 0x8032_0000
    BAD_NODE_ID_UNKNOWN = 0x8034_0000
    BAD_TYPE_MISMATCH = 0x8074_0000
    BAD_OUT_OF_RANGE = 0x803C_0000
    BAD_NOT_CONNECTED = 0x808A_0000
    BAD_DEVICE_FAILURE = 0x808B_0000
    BAD_SENSOR_FAILURE = 0x808C_0000
    BAD_OUT_OF_SERVICE = 0x808D_0000
    BAD_WAITING_FOR_RESPONSE = 0x80B2_0000
    BAD_SERVER_TOO_BUSY = 0x80EE_0000


def quality_of(status: StatusArray) -> NDArray[np.uint8]:
    """Return the quality of each status code.

    Args:
        status: OPC UA status codes, any shape.
    Returns:
        `Quality` as uint8, same shape; the reserved severity 11 reads as Bad.
    """
    severity = np.right_shift(status, np.uint32(30))
    return np.asarray(np.minimum(severity, np.uint32(Quality.BAD)), dtype=np.uint8)


def is_good(status: StatusArray) -> NDArray[np.bool_]:
    """Return where the status is Good, same shape as `status`."""
    return status < np.uint32(Status.UNCERTAIN)


def is_bad(status: StatusArray) -> NDArray[np.bool_]:
    """Return where the status is Bad, same shape as `status`."""
    return status >= np.uint32(Status.BAD)


def worst_status(status: StatusArray, *, axis: int) -> StatusArray:
    """Return the worst status along an axis: what a result computed from all of them deserves.

    Status codes order by severity first, so the numerically greatest is a worst one.

    Raises:
        ValueError: the axis is empty.
    """
    return np.asarray(status.max(axis=axis), dtype=np.uint32)
