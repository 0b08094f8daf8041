"""What goes wrong with an MQTT broker, in words."""

from typing import Final

import aiomqtt
from aiomqtt.exceptions import MqttConnectError
from paho.mqtt.reasoncodes import ReasonCode

from gateway.core.errors import GatewayError
from gateway.wire.broker import Broker

_UNSUPPORTED_VERSION: Final = 0x84
"""Reason code of a CONNACK (MQTT 5.0, 3.2.2.2)."""


class BrokerError(GatewayError):
    """The session cannot be made, or is lost.

    Attributes:
        text: Continues a sentence that the device opens, such as `does not answer`.
        check: What to check, as a sentence.
        detail: For the expert.
    """

    def __init__(self, text: str, *, check: str, detail: str) -> None:
        """Keep the three apart, for whoever words the message."""
        super().__init__(f"{text} ({detail})")
        self.text = text
        self.check = check
        self.detail = detail


def connect_error(error: aiomqtt.MqttError, broker: Broker) -> BrokerError:
    """Return what it means that a session could not be made."""
    if isinstance(error, MqttConnectError):
        if isinstance(error.rc, ReasonCode) and error.rc.value == _UNSUPPORTED_VERSION:
            return BrokerError(
                f"does not speak MQTT {broker.version}",
                check="Check which versions it knows.",
                detail=f"CONNACK {error.rc}",
            )
        return BrokerError(
            "refuses the connection",
            check="Check user, password, client_id, and what the broker allows.",
            detail=f"CONNACK {error.rc}",
        )
    text = str(error)
    if "certificate" in text.lower():
        return BrokerError(
            "shows a certificate that is not trusted",
            check="Check ca_file, the host's name in the certificate, and the clocks.",
            detail=text,
        )
    if "timed out" in text:
        return silent_error(broker.timeout_s)
    return BrokerError("cannot be reached", check="Check address, cable and firewall.", detail=text)


def silent_error(wait_s: float) -> BrokerError:
    """Return what it means that no answer came."""
    return BrokerError(
        f"does not answer within {wait_s:g} s",
        check="Check that an MQTT broker listens there, and whether it wants TLS.",
        detail="time-out",
    )


def lost_error(error: BaseException | None) -> BrokerError:
    """Return what it means that a session ended; None is an end in order, of the broker's."""
    detail = "the broker closed the connection" if error is None else repr(str(error))
    return BrokerError(
        "is lost",
        check="Check the network, and whether another client uses the same client_id.",
        detail=detail,
    )
