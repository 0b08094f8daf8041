"""Certificates of OPC UA: who we are, and whom we believe.

The folder, given by whoever starts the gateway, holds

    own/certificate.der, own/private_key.pem   made at the first start; the key never leaves it
    trusted/     certificates of servers that a person (or the first use) has accepted
    rejected/    those that were refused, for a person to compare and move over

Trust is in the certificate itself: no authority vouches for it, and its dates are not checked,
because a gateway without a clock must come up too. A certificate of an authority in `trusted`
admits nobody but the server that shows exactly that one: without its revocation lists, believing
whatever it signed would be a door that cannot be closed. `first_use` accepts the first certificate
that a server shows and pins it under the connector's name; any other one later is refused, and so
is one that lies in `rejected`.
"""

import os
import socket
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from pathlib import Path
from tempfile import mkdtemp

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

KEY_SIZE_BITS = 2048
"""What Basic256Sha256 takes: 2048 to 4096 (OPC 10000-7, 6.6.165)."""
VALIDITY = timedelta(days=20 * 365)
RELEASED = datetime(2025, 1, 1, tzinfo=UTC)
"""It is later than this, whatever the clock of a gateway without a battery says."""
NS_PER_S = 1_000_000_000
_CERTIFICATE = "certificate.der"
_KEY = "private_key.pem"
_SUFFIXES = (".der", ".crt", ".cer", ".pem")


class Trust(StrEnum):
    """Which servers are believed."""

    FOLDER = "folder"
    """Those whose certificate a person put into `trusted`."""
    FIRST_USE = "first_use"
    """Those, and whichever certificate the server shows first."""


class UntrustedError(Exception):
    """The server's certificate is not trusted.

    Attributes:
        fingerprint: SHA-256 of the certificate.
        rejected_path: Where it was kept for a person.
        has_changed: Whether another one was pinned before.
    """

    def __init__(self, fingerprint: str, rejected_path: Path, *, has_changed: bool) -> None:
        """Say which certificate."""
        super().__init__(f"SHA-256 {fingerprint}")
        self.fingerprint = fingerprint
        self.rejected_path = rejected_path
        self.has_changed = has_changed


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnIdentity:
    """Our application instance certificate."""

    certificate_path: Path
    key_path: Path
    application_uri: str
    """As the certificate says; a session must give the same."""
    certificate: x509.Certificate


def own_identity(folder: Path, *, now_ns: int) -> OwnIdentity:
    """Return our certificate; made anew where there is none. Takes up to a second: use a thread.

    Args:
        folder: See the module.
        now_ns: UTC; may be wrong, as long as it is not in the future.
    Raises:
        OSError: the folder cannot be written.
        ValueError: the certificate there is damaged.
    """
    own = folder / "own"
    if not (own / _CERTIFICATE).exists():
        _make_identity(own, now_ns)
    certificate = x509.load_der_x509_certificate((own / _CERTIFICATE).read_bytes())
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    [uri] = names.get_values_for_type(x509.UniformResourceIdentifier)
    return OwnIdentity(
        certificate_path=own / _CERTIFICATE,
        key_path=own / _KEY,
        application_uri=uri,
        certificate=certificate,
    )


def own_certificate(folder: Path) -> Path:
    """Return where our certificate is, or will be."""
    return folder / "own" / _CERTIFICATE


def admit_server(certificate: bytes, *, folder: Path, trust: Trust, pin_name: str) -> bool:
    """Let a server pass whose certificate is trusted.

    Args:
        certificate: DER.
        folder: See the module.
        trust: Rule in force.
        pin_name: Name of the connector.
    Returns:
        Whether it is trusted only now, because it is the first one.
    Raises:
        UntrustedError: it is not; the certificate is kept in `rejected`.
        OSError: the folder cannot be written.
    """
    trusted, rejected = folder / "trusted", folder / "rejected"
    for each in (trusted, rejected):
        each.mkdir(parents=True, exist_ok=True)
    if certificate in certificates_in(trusted).values():
        return False
    pin = trusted / f"first-use-{pin_name}.der"
    refused = [path for path, other in certificates_in(rejected).items() if other == certificate]
    if trust is Trust.FIRST_USE and not pin.exists() and not refused:
        _write_whole(pin, certificate)
        return True
    fingerprint = fingerprint_of(certificate)
    if not refused:
        refused = [rejected / f"{pin_name}-{fingerprint[:16]}.der"]
        _write_whole(refused[0], certificate)
    raise UntrustedError(fingerprint, refused[0], has_changed=pin.exists())


def fingerprint_of(certificate: bytes) -> str:
    """Return the SHA-256 of a DER certificate in hexadecimal."""
    digest = hashes.Hash(hashes.SHA256())
    digest.update(certificate)
    return digest.finalize().hex()


def grouped(fingerprint: str) -> str:
    """Return a fingerprint in groups of four digits, as people read it to one another."""
    return " ".join(fingerprint[at : at + 4] for at in range(0, len(fingerprint), 4))


def certificates_in(folder: Path) -> dict[Path, bytes]:
    """Return the certificates of a folder as DER; a file that is none is passed over."""
    found: dict[Path, bytes] = {}
    for path in sorted(folder.iterdir()) if folder.is_dir() else ():
        if path.suffix.lower() in _SUFFIXES:
            with suppress(ValueError, FileNotFoundError):  # moved away just now, or damaged
                found[path] = _der(path.read_bytes())
    return found


def _der(data: bytes) -> bytes:
    """Return a certificate in DER, whichever form it has.

    Raises:
        ValueError: it is none.
    """
    is_pem = data.startswith(b"-----BEGIN")
    load = x509.load_pem_x509_certificate if is_pem else x509.load_der_x509_certificate
    return load(data).public_bytes(serialization.Encoding.DER)


def _make_identity(own: Path, now_ns: int) -> None:
    """Make key and certificate; the folder appears with both in it, or not at all."""
    host = socket.gethostname()
    key = rsa.generate_private_key(public_exponent=65537, key_size=KEY_SIZE_BITS)
    certificate = _self_signed(key, host=host, uri=f"urn:{host}:edgewright", now_ns=now_ns)
    own.parent.mkdir(parents=True, exist_ok=True)
    fresh = Path(mkdtemp(dir=own.parent, prefix=".own-"))
    (fresh / _CERTIFICATE).write_bytes(certificate.public_bytes(serialization.Encoding.DER))
    key_file = os.open(fresh / _KEY, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(key_file, "wb") as file:
        file.write(
            key.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption(),
            )
        )
    try:
        fresh.rename(own)
    except OSError:
        # Another connector was faster: its identity is as good as ours.
        for name in (_CERTIFICATE, _KEY):
            (fresh / name).unlink()
        fresh.rmdir()
        if not (own / _CERTIFICATE).exists():
            raise


def _self_signed(key: rsa.RSAPrivateKey, *, host: str, uri: str, now_ns: int) -> x509.Certificate:
    """Return an application instance certificate (OPC 10000-6, 6.2.2)."""
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"Edgewright on {host}"[:64])])
    usage = x509.KeyUsage(
        digital_signature=True,
        content_commitment=True,
        key_encipherment=True,
        data_encipherment=True,
        key_agreement=False,
        key_cert_sign=True,
        crl_sign=False,
        encipher_only=False,
        decipher_only=False,
    )
    now = datetime.fromtimestamp(now_ns / NS_PER_S, UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(min(now, RELEASED))
        .not_valid_after(max(now, RELEASED) + VALIDITY)
        .add_extension(
            x509.SubjectAlternativeName([x509.UniformResourceIdentifier(uri), x509.DNSName(host)]),
            critical=False,
        )
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(usage, critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH]), critical=False)
        .sign(key, hashes.SHA256())
    )


def _write_whole(path: Path, data: bytes) -> None:
    """Write a file that is there as a whole or not at all."""
    part = path.with_suffix(".part")
    part.write_bytes(data)
    part.replace(path)
