"""From raw numbers to engineering values with an honest quality. Pure."""

from dataclasses import replace

import numpy as np

from gateway.core.arrays import StatusArray
from gateway.core.frame import Frame
from gateway.core.quality import Status, is_good
from gateway.core.tags import TagTable


def condition(frame: Frame, table: TagTable) -> Frame:
    """Return the frame in engineering units, its quality lowered where the value shows a reason.

    A value that is no number becomes Bad (`BAD_OUT_OF_RANGE`) unless the source said worse; one
    outside the instrument's range becomes Uncertain (OPC 10000-8, 5.2: engineering units
    exceeded). Good values keep their status code to the bit.

    Args:
        frame: Raw values as the connector gave them, shape (n,).
        table: Scale, offset and range of each tag.
    """
    index = frame.tag_index
    value = frame.value * table.scale[index] + table.offset[index]
    status: StatusArray = frame.status.copy()
    good = is_good(status)
    outside = good & ((value < table.low[index]) | (value > table.high[index]))
    status[outside] = Status.UNCERTAIN_ENGINEERING_UNITS_EXCEEDED
    no_number = ~np.isfinite(value)
    status[no_number & (status < np.uint32(Status.BAD))] = Status.BAD_OUT_OF_RANGE
    value[no_number] = np.nan
    return replace(frame, value=value, status=status)
