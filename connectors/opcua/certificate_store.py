"""The certificates of OPC UA as a person handles them: list, trust, reject, hand out.

It works on the folder that `trust` describes, whether a gateway runs on it or not: a move is
one rename, and a running gateway looks again at its next try. `seen/CONNECTOR.json` remembers
which certificates a connector saw, and which of them it last went on with.
"""

import json
import re
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from pathlib import Path

from cryptography import x509

from connectors.opcua.trust import certificates_in, fingerprint_of, own_certificate

SIGHTS_MAX = 16
"""Certificates that are remembered for each connector, the newest."""
PREFIX_DIGITS_MIN = 4
NS_PER_S = 1_000_000_000


class Place(StrEnum):
    """Where a certificate lies."""

    OWN = "own"
    TRUSTED = "trusted"
    REJECTED = "rejected"


@dataclass(frozen=True, slots=True, kw_only=True)
class Sights:
    """What a connector saw."""

    admitted: str = ""
    """SHA-256 of the certificate that it last went on with; empty is none yet."""
    times_ns: dict[str, int] = field(default_factory=dict)
    """When it last saw each certificate, UTC, by SHA-256."""

    def with_sight(self, fingerprint: str, *, time_ns: int, is_admitted: bool) -> "Sights":
        """Return them with one more, without the oldest beyond the bound."""
        times_ns = self.times_ns | {fingerprint: time_ns}
        newest = sorted(times_ns, key=times_ns.__getitem__)[-SIGHTS_MAX:]
        return replace(
            self,
            admitted=fingerprint if is_admitted else self.admitted,
            times_ns={each: times_ns[each] for each in newest},
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredCertificate:
    """A certificate in the folder."""

    place: Place
    path: Path
    subject: str
    """As RFC 4514 writes it."""
    fingerprint: str
    """SHA-256."""
    from_ns: int
    """Valid from, UTC."""
    to_ns: int
    """Valid to, UTC."""
    connector: str = ""
    """The connector that saw it last; empty when none did."""
    seen_ns: int | None = None
    """When that was, UTC."""


def stored_certificates(folder: Path) -> tuple[StoredCertificate, ...]:
    """Return all certificates of the folder: our own, the trusted, the rejected.

    Raises:
        OSError: the folder cannot be read.
    """
    sights = _all_sights(folder)
    found = []
    for place in Place:
        for path, certificate in certificates_in(folder / place).items():
            found.append(_stored(place, path, certificate, sights))
    return tuple(found)


def trust_certificate(folder: Path, prefix: str) -> StoredCertificate:
    """Move the rejected certificate whose SHA-256 begins so to the trusted ones.

    Raises:
        LookupError: none begins so, or several do.
        OSError: it cannot be moved.
    """
    return _move(folder, prefix, Place.REJECTED, Place.TRUSTED)


def reject_certificate(folder: Path, prefix: str) -> StoredCertificate:
    """Move the trusted certificate whose SHA-256 begins so to the rejected ones.

    Raises:
        LookupError: none begins so, or several do.
        OSError: it cannot be moved.
    """
    return _move(folder, prefix, Place.TRUSTED, Place.REJECTED)


def export_own(folder: Path, target: Path) -> StoredCertificate:
    """Copy our own certificate, never the key, to a file in DER.

    Raises:
        LookupError: there is none yet.
        OSError: it cannot be read or written.
    """
    path = own_certificate(folder)
    if not path.exists():
        raise LookupError(f"{path}: the gateway has no certificate yet: start it once")
    data = path.read_bytes()
    target.write_bytes(data)
    return _stored(Place.OWN, path, data, {})


def read_sights(folder: Path, connector: str) -> Sights:
    """Return what a connector saw; nothing when there is no note of it, or a damaged one."""
    try:
        content = json.loads(_sights_path(folder, connector).read_bytes())
        times_ns = {str(key): int(value) for key, value in content["times_ns"].items()}
        return Sights(admitted=str(content["admitted"]), times_ns=times_ns)
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return Sights()  # it is a convenience: without it nothing is less safe


def write_sights(folder: Path, connector: str, sights: Sights) -> None:
    """Keep what a connector saw.

    Raises:
        OSError: the folder cannot be written.
    """
    path = _sights_path(folder, connector)
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(".part")
    content = {"admitted": sights.admitted, "times_ns": sights.times_ns}
    part.write_text(json.dumps(content), encoding="utf-8")
    part.replace(path)


def _sights_path(folder: Path, connector: str) -> Path:
    return folder / "seen" / f"{connector}.json"


def _all_sights(folder: Path) -> dict[str, tuple[int, str]]:
    """Return when each certificate was last seen, and by which connector."""
    latest: dict[str, tuple[int, str]] = {}
    for path in sorted((folder / "seen").glob("*.json")):
        for fingerprint, time_ns in read_sights(folder, path.stem).times_ns.items():
            sight = (time_ns, path.stem)
            latest[fingerprint] = max(latest.get(fingerprint, sight), sight)
    return latest


def _stored(
    place: Place, path: Path, certificate: bytes, sights: dict[str, tuple[int, str]]
) -> StoredCertificate:
    parsed = x509.load_der_x509_certificate(certificate)
    fingerprint = fingerprint_of(certificate)
    seen_ns, connector = sights.get(fingerprint, (None, ""))
    return StoredCertificate(
        place=place,
        path=path,
        subject=parsed.subject.rfc4514_string(),
        fingerprint=fingerprint,
        from_ns=_ns(parsed.not_valid_before_utc),
        to_ns=_ns(parsed.not_valid_after_utc),
        connector=connector,
        seen_ns=seen_ns,
    )


def _move(folder: Path, prefix: str, source: Place, target: Place) -> StoredCertificate:
    digits = re.sub(r"[\s:]", "", prefix).lower()
    if not re.fullmatch(rf"[0-9a-f]{{{PREFIX_DIGITS_MIN},64}}", digits):
        raise LookupError(
            f"{prefix!r} is not the beginning of a SHA-256: at least {PREFIX_DIGITS_MIN} "
            "hexadecimal digits"
        )
    stored = [each for each in stored_certificates(folder) if each.fingerprint.startswith(digits)]
    candidates = [each for each in stored if each.place is source]
    if not candidates:
        elsewhere = f"; it is {stored[0].place} already" if stored else ""
        raise LookupError(f"no {source} certificate begins with {digits}{elsewhere}")
    if len({each.fingerprint for each in candidates}) > 1:
        subjects = "; ".join(f"{each.fingerprint[:16]} {each.subject}" for each in candidates)
        raise LookupError(f"several {source} certificates begin with {digits}: {subjects}")
    (folder / target).mkdir(exist_ok=True)
    for each in candidates:
        # The same certificate may lie there under several names: all of them go.
        each.path.replace(folder / target / each.path.name)
    return replace(candidates[0], place=target, path=folder / target / candidates[0].path.name)


def _ns(time: datetime) -> int:
    return int(time.timestamp()) * NS_PER_S
