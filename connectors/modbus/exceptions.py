"""What an exception of a Modbus device means for a tag, and for a person."""

from connectors.modbus.exchange import ExceptionCode
from gateway.core.quality import Status

STATUS_BY_EXCEPTION: dict[int, Status] = {
    ExceptionCode.ILLEGAL_FUNCTION: Status.BAD_NODE_ID_UNKNOWN,
    ExceptionCode.ILLEGAL_DATA_ADDRESS: Status.BAD_NODE_ID_UNKNOWN,
    ExceptionCode.ILLEGAL_DATA_VALUE: Status.BAD_NODE_ID_UNKNOWN,
    ExceptionCode.ACKNOWLEDGE: Status.BAD_WAITING_FOR_RESPONSE,
    ExceptionCode.SERVER_DEVICE_BUSY: Status.BAD_SERVER_TOO_BUSY,
    ExceptionCode.GATEWAY_PATH_UNAVAILABLE: Status.BAD_NO_COMMUNICATION,
    ExceptionCode.GATEWAY_TARGET_FAILED_TO_RESPOND: Status.BAD_NO_COMMUNICATION,
}
"""Any other exception is BAD_DEVICE_FAILURE."""


def status_of(exception_code: int) -> Status:
    """Return the status of a point that is answered with an exception."""
    return STATUS_BY_EXCEPTION.get(exception_code, Status.BAD_DEVICE_FAILURE)


def exception_text(exception_code: int) -> str:
    """Return an exception for a person, such as `exception 2, illegal data address`."""
    try:
        name = ExceptionCode(exception_code).name.lower().replace("_", " ")
    except ValueError:
        return f"exception {exception_code}"
    return f"exception {exception_code}, {name}"
