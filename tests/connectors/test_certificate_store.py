"""The folder of certificates as a person handles it."""

from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import Encoding

from connectors.opcua.certificate_store import (
    SIGHTS_MAX,
    Place,
    Sights,
    export_own,
    read_sights,
    reject_certificate,
    stored_certificates,
    trust_certificate,
    write_sights,
)
from connectors.opcua.trust import (
    Trust,
    UntrustedError,
    admit_server,
    fingerprint_of,
    grouped,
    own_identity,
)
from tests.connectors.test_opcua_certificates import certificate, der

NOW_NS = 1_780_000_000_000_000_000


def refused(folder: Path, shown: bytes, *, trust: Trust = Trust.FOLDER) -> bool:
    try:
        admit_server(shown, folder=folder, trust=trust, pin_name="pumps")
    except UntrustedError:
        return True
    return False


def test_a_person_trusts_and_rejects(tmp_path: Path) -> None:
    """By the beginning of the SHA-256, as it is printed or with colons; it holds at once."""
    shown = der(certificate(days=100))
    digits = fingerprint_of(shown)
    assert refused(tmp_path, shown)
    trusted = trust_certificate(tmp_path, grouped(digits)[:9].upper())
    assert (trusted.place, trusted.fingerprint) == (Place.TRUSTED, digits)
    assert trusted.path.exists()
    assert not refused(tmp_path, shown)
    rejected = reject_certificate(tmp_path, f"{digits[:4]}:{digits[4:6]}")
    assert rejected.place is Place.REJECTED
    assert refused(tmp_path, shown)


def test_first_use_never_takes_what_a_person_rejected(tmp_path: Path) -> None:
    """Else the rejected certificate, its pin gone, would be the first one again."""
    shown = der(certificate(days=100))
    assert not refused(tmp_path, shown, trust=Trust.FIRST_USE)
    reject_certificate(tmp_path, fingerprint_of(shown))
    assert refused(tmp_path, shown, trust=Trust.FIRST_USE)
    trust_certificate(tmp_path, fingerprint_of(shown))
    assert not refused(tmp_path, shown, trust=Trust.FIRST_USE)


def test_a_prefix_must_mean_one_certificate(tmp_path: Path) -> None:
    """Too short, unknown, of several, or already there: an error that says so, and no move."""
    by_digit: dict[str, list[bytes]] = {}
    (tmp_path / "rejected").mkdir()
    number = 0
    while max((len(each) for each in by_digit.values()), default=0) < 2:
        shown = der(certificate(f"Server {number}", days=100))
        by_digit.setdefault(fingerprint_of(shown)[:2], []).append(shown)
        (tmp_path / "rejected" / f"{number}.der").write_bytes(shown)
        number += 1
    same = next(digits for digits, each in by_digit.items() if len(each) > 1)
    with pytest.raises(LookupError, match="at least 4"):
        trust_certificate(tmp_path, same)
    with pytest.raises(LookupError, match="is not the beginning"):
        trust_certificate(tmp_path, "pumps")
    unknown = next(f"{value:04x}" for value in range(0x10000) if f"{value:04x}"[:2] not in by_digit)
    with pytest.raises(LookupError, match=f"no rejected certificate begins with {unknown}$"):
        trust_certificate(tmp_path, unknown)
    known = fingerprint_of(by_digit[same][0])
    with pytest.raises(LookupError, match="it is rejected already"):
        reject_certificate(tmp_path, known)
    assert len(list((tmp_path / "rejected").iterdir())) == number


def test_what_is_stored_is_listed_with_who_saw_it(tmp_path: Path) -> None:
    identity = own_identity(tmp_path, now_ns=NOW_NS)
    shown = certificate(days=100)
    (tmp_path / "rejected").mkdir()
    (tmp_path / "rejected" / "a.pem").write_bytes(shown.public_bytes(Encoding.PEM))
    (tmp_path / "rejected" / "damaged.der").write_bytes(b"no certificate")
    for name, time_ns in (("pumps", NOW_NS), ("blower", NOW_NS + 1)):
        seen = Sights().with_sight(fingerprint_of(der(shown)), time_ns=time_ns, is_admitted=False)
        write_sights(tmp_path, name, seen)
    own, rejected = stored_certificates(tmp_path)
    assert (own.place, own.fingerprint) == (Place.OWN, fingerprint_of(der(identity.certificate)))
    assert rejected.subject == "CN=Pump server"
    assert (rejected.connector, rejected.seen_ns) == ("blower", NOW_NS + 1)


def test_our_own_is_handed_out_without_its_key(tmp_path: Path) -> None:
    with pytest.raises(LookupError, match="start it once"):
        export_own(tmp_path, tmp_path / "out.der")
    identity = own_identity(tmp_path, now_ns=NOW_NS)
    export_own(tmp_path, tmp_path / "out.der")
    assert (tmp_path / "out.der").read_bytes() == der(identity.certificate)


def test_sights_are_bounded_and_a_damaged_note_is_none(tmp_path: Path) -> None:
    sights = Sights()
    for number in range(SIGHTS_MAX + 5):
        sights = sights.with_sight(f"{number:064x}", time_ns=number, is_admitted=number == 3)
    assert len(sights.times_ns) == SIGHTS_MAX
    assert min(sights.times_ns.values()) == 5
    assert sights.admitted == f"{3:064x}"
    write_sights(tmp_path, "pumps", sights)
    assert read_sights(tmp_path, "pumps") == sights
    (tmp_path / "seen" / "pumps.json").write_text('{"times_ns": 3}', encoding="utf-8")
    assert read_sights(tmp_path, "pumps") == Sights()
