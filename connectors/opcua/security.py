"""How an OPC UA connection is secured, and who logs in: settings, and the secrets they name.

What is configured is used or there is no connection. The policies that OPC 10000-7 calls
deprecated (Basic128Rsa15, Basic256) cannot be configured: SHA-1 and PKCS #1 v1.5 do not keep
anybody out any more.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, Self

from pydantic import Field, SecretStr, model_validator

from gateway.core.errors import ConfigError
from gateway.core.settings import Settings

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
    from cryptography.x509 import Certificate

NO_SECURITY = "None"
CERTIFICATES_FOLDER = "opcua"
"""In the gateway's state folder; see `trust`."""


class SecuritySettings(Settings):
    """Security of a connection, and the user that logs in over it."""

    security: Literal["None", "Basic256Sha256", "Aes128_Sha256_RsaOaep", "Aes256_Sha256_RsaPss"]
    """The policy, never exchanged for a weaker one; None is used only when written here."""
    mode: Literal["SignAndEncrypt", "Sign"] = "SignAndEncrypt"
    """Sign and encrypt messages, or only sign them: then everybody on the way can read them."""
    trust: Literal["folder", "first_use"] = "folder"
    """Trust certificates in the folder `trusted`, or also the first one that the server shows."""
    certificate_warning_days: Annotated[int, Field(ge=7, le=730)] = 30
    """So long before a certificate expires an event says so; then again at 7 days and at 1."""
    user: str = ""
    """User name; empty logs in anonymously, or with a certificate."""
    password_file: Path | None = None
    """File with the user's password, beside the configuration file; needs security."""
    user_certificate: Path | None = None
    """Certificate (PEM or DER) that logs in instead of a user name; needs security."""
    user_key: Path | None = None
    """Its private RSA key: PEM or DER, not encrypted."""

    @model_validator(mode="after")
    def _check_login(self) -> Self:
        if self.security == NO_SECURITY and self.mode != "SignAndEncrypt":
            raise ValueError(f"mode {self.mode} needs a security other than None")
        if self.user and self.security == NO_SECURITY:
            raise ValueError("a password would travel in the clear: set security")
        if bool(self.user) != (self.password_file is not None):
            raise ValueError("user and password_file belong together")
        if (self.user_certificate is None) != (self.user_key is None):
            raise ValueError("user_certificate and user_key belong together")
        if self.user_certificate is not None and self.user:
            raise ValueError("user and user_certificate are two ways to log in: keep one")
        if self.user_certificate is not None and self.security == NO_SECURITY:
            raise ValueError("a user certificate needs security, else anybody could go on for it")
        return self


@dataclass(frozen=True, slots=True, kw_only=True)
class Credentials:
    """What a session logs in with: a user with a password, a certificate, or nothing."""

    user: str
    """Empty without one."""
    password: SecretStr
    certificate: "Certificate | None"
    key: "RSAPrivateKey | None"
    """That of the certificate."""

    def __repr__(self) -> str:
        """Show who, and nothing of the secret."""
        return f"Credentials(user={self.user!r}, has_certificate={self.certificate is not None})"


def read_credentials(settings: SecuritySettings, *, folder: Path, name: str) -> Credentials:
    """Return what the files of the settings hold.

    Args:
        settings: Names the files.
        folder: That of the configuration file; relative paths start there.
        name: Of the connector, for messages.
    Raises:
        ConfigError: a file cannot be read, or certificate and key do not belong together.
    """
    password = SecretStr("")
    if settings.password_file is not None:
        data = _read(folder / settings.password_file, f"connectors.{name}.password_file")
        try:
            password = SecretStr(data.decode("utf-8").rstrip("\r\n"))
        except UnicodeDecodeError as error:
            raise ConfigError(
                f"connectors.{name}.password_file: {folder / settings.password_file} is not UTF-8"
            ) from error
    certificate, key = None, None
    if settings.user_certificate is not None and settings.user_key is not None:
        certificate, key = _read_pair(
            folder / settings.user_certificate, folder / settings.user_key, name
        )
    return Credentials(user=settings.user, password=password, certificate=certificate, key=key)


def _read_pair(
    certificate_path: Path, key_path: Path, name: str
) -> "tuple[Certificate, RSAPrivateKey]":
    """Return a certificate and the RSA key that belongs to it."""
    # Made here: a gateway that logs in without a certificate does without the library.
    from cryptography import x509
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
    from cryptography.hazmat.primitives.serialization import (
        load_der_private_key,
        load_pem_private_key,
    )

    certificate_place = f"connectors.{name}.user_certificate"
    data = _read(certificate_path, certificate_place)
    try:
        is_pem = data.lstrip().startswith(b"-----BEGIN")
        load = x509.load_pem_x509_certificate if is_pem else x509.load_der_x509_certificate
        certificate = load(data)
    except ValueError as error:
        raise ConfigError(
            f"{certificate_place}: {certificate_path} is no certificate: {error}"
        ) from error
    key_place = f"connectors.{name}.user_key"
    data = _read(key_path, key_place)
    try:
        is_pem = data.lstrip().startswith(b"-----BEGIN")
        key = (load_pem_private_key if is_pem else load_der_private_key)(data, password=None)
    except (ValueError, TypeError) as error:
        # TypeError: the key is encrypted. The library's words could quote the file: left out.
        raise ConfigError(f"{key_place}: {key_path} is no key, or an encrypted one") from error
    if not isinstance(key, RSAPrivateKey):
        raise ConfigError(f"{key_place}: {key_path} is no RSA key; the policies know no other")
    if key.public_key() != certificate.public_key():
        raise ConfigError(f"{key_place}: {key_path} is not the key of {certificate_path}")
    return certificate, key


def _read(path: Path, place: str) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise ConfigError(f"{place}: {path}: {error.strerror}") from error
