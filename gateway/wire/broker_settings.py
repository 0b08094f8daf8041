"""Where an MQTT broker is and how to log in: the options of everything that speaks to one."""

import ssl
from pathlib import Path
from typing import Final, Literal, Self
from urllib.parse import urlsplit

from pydantic import SecretStr, field_validator, model_validator

from gateway.core.errors import ConfigError
from gateway.core.settings import Settings

PORTS: Final = {"mqtt": 1883, "mqtts": 8883}


class BrokerLogin(Settings):
    """Address of a broker, and who we are to it."""

    broker: str
    """Address of the broker, as `mqtt://host:port`, or `mqtts://host:port` for TLS."""
    user: str = ""
    """User name; empty logs in without."""
    password_file: Path | None = None
    """File with the user's password, beside the configuration file."""
    login_in_clear: Literal["refuse", "accept"] = "refuse"
    """Whether secrets may be sent to a broker without TLS."""
    ca_file: Path | None = None
    """Certificates (PEM) that may vouch for the broker; without it, the system's."""
    certificate_file: Path | None = None
    """Our own certificate (PEM), for brokers that ask for one."""
    key_file: Path | None = None
    """Key (PEM) of our certificate."""

    @field_validator("broker")
    @classmethod
    def _check_broker(cls, broker: str) -> str:
        host_and_port(broker)
        return broker

    @model_validator(mode="after")
    def _check_login(self) -> Self:
        if bool(self.user) != self.has_password:
            raise ValueError(f"user and {self.password_options} belong together")
        if self.user and not self.is_secure and self.login_in_clear == "refuse":
            raise ValueError(
                "the password would travel in the clear: use mqtts://, or set login_in_clear"
            )
        if (self.certificate_file is None) != (self.key_file is None):
            raise ValueError("certificate_file and key_file belong together")
        if not self.is_secure and (self.ca_file or self.certificate_file):
            raise ValueError("ca_file and certificate_file need mqtts://")
        return self

    @property
    def is_secure(self) -> bool:
        """Whether the connection is encrypted."""
        return self.broker.startswith("mqtts:")

    @property
    def has_password(self) -> bool:
        """Whether it is said where the password is."""
        return self.password_file is not None

    @property
    def password_options(self) -> str:
        """The options that say so, for a message."""
        return "password_file"


def host_and_port(broker: str) -> tuple[str, int]:
    """Return the two parts of `mqtt://host:port`.

    Raises:
        ValueError: it is not of that form.
    """
    parts = urlsplit(broker)
    is_plain = not (parts.path or parts.query or parts.fragment)
    if parts.scheme not in PORTS or not parts.hostname or not is_plain:
        raise ValueError(f"{broker!r} is not mqtt://host:port or mqtts://host:port")
    if parts.username is not None:
        raise ValueError("a user stands in `user`, not in the address")
    return parts.hostname, parts.port or PORTS[parts.scheme]


def read_password(place: str, login: BrokerLogin, folder: Path) -> SecretStr:
    """Return the password in the file; empty where none is named.

    Args:
        place: Opens the message, such as `connectors.press`.
        login: Names the file.
        folder: That of the configuration file.
    Raises:
        ConfigError: it cannot be read.
    """
    if login.password_file is None:
        return SecretStr("")
    path = folder / login.password_file
    try:
        return SecretStr(path.read_text(encoding="utf-8").rstrip("\r\n"))
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{place}.password_file: {path}: {error}") from error


def broker_tls(place: str, login: BrokerLogin, folder: Path) -> ssl.SSLContext | None:
    """Return what the connection is encrypted with; None is in the clear.

    Args:
        place: Opens the message, such as `connectors.press`.
        login: Names the certificates.
        folder: That of the configuration file.
    Raises:
        ConfigError: a certificate cannot be used.
    """
    if not login.is_secure:
        return None
    option = "ca_file"
    try:
        context = ssl.create_default_context(
            cafile=None if login.ca_file is None else str(folder / login.ca_file)
        )
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        if login.certificate_file is not None and login.key_file is not None:
            option = "certificate_file"
            context.load_cert_chain(folder / login.certificate_file, folder / login.key_file)
    except (OSError, ssl.SSLError) as error:
        raise ConfigError(f"{place}.{option}: cannot be used: {error}") from error
    return context
