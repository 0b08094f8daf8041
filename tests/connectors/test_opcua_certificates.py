"""What is told of certificates, with a clock of the test's own."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from connectors.opcua.certificates import CertificateWatch
from connectors.opcua.trust import UntrustedError, fingerprint_of, grouped
from gateway.core.events import Event, Transition

KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)
START = datetime(2026, 3, 1, tzinfo=UTC)
NS_PER_S = 1_000_000_000


class SetClock:
    """Shows the day that a test says."""

    def __init__(self) -> None:
        self.day = 0.0

    def now_ns(self) -> int:
        return int((START + timedelta(days=self.day)).timestamp()) * NS_PER_S

    def monotonic_ns(self) -> int:
        return self.now_ns()

    @property
    def is_trusted(self) -> bool:
        return True


def certificate(name: str = "Pump server", *, days: float) -> x509.Certificate:
    """Return one that expires so many days after the start."""
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(KEY.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(START - timedelta(days=1000))
        .not_valid_after(START + timedelta(days=days))
        .sign(KEY, hashes.SHA256())
    )


def der(each: x509.Certificate) -> bytes:
    return each.public_bytes(Encoding.DER)


class Watched:
    """A watch, its clock, and what it told."""

    def __init__(self, folder: Path) -> None:
        self.clock = SetClock()
        self.events: list[Event] = []
        self.watch = CertificateWatch("pumps", folder=folder, warning_days=30, clock=self.clock)
        self.watch.listen(self.events.append)

    def told(self) -> list[tuple[str, Transition, int]]:
        return [(each.condition, each.transition, each.severity) for each in self.events]


@pytest.fixture
def watched(tmp_path: Path) -> Watched:
    return Watched(tmp_path)


def test_an_expiring_certificate_is_told_at_each_limit_once(watched: Watched) -> None:
    """30 days before, at 7, at 1, and when it has expired; whose it is, is in the condition."""
    watched.watch.admit(der(certificate(days=100)), is_pinned=False)
    watched.watch.use_own(certificate(days=5000))
    for day in range(110):
        watched.clock.day = day
        watched.watch.check_dates()
        watched.watch.check_dates()
    raised = Transition.RAISED
    assert watched.told() == [
        ("certificate_expires", raised, severity) for severity in (300, 500, 700, 800)
    ]
    assert [each.time_ns for each in watched.events] == [
        int((START + timedelta(days=day)).timestamp()) * NS_PER_S for day in (70, 93, 99, 100)
    ]
    assert "the server's certificate expires in 30 days" in watched.events[0].text
    assert "expired on 2026-06-09" in watched.events[3].text


def test_a_renewed_certificate_ends_the_warning(watched: Watched) -> None:
    watched.watch.use_own(certificate(days=3))
    watched.watch.check_dates()
    watched.watch.use_own(certificate(days=900))
    watched.watch.check_dates()
    assert watched.told() == [
        ("own_certificate_expires", Transition.RAISED, 500),
        ("own_certificate_expires", Transition.RETURNED, 100),
    ]


def test_the_earlier_of_both_sides_counts(watched: Watched) -> None:
    assert watched.watch.expires_ns is None
    watched.watch.use_own(certificate(days=50))
    watched.watch.admit(der(certificate(days=40)), is_pinned=False)
    expected = int((START + timedelta(days=40)).timestamp()) * NS_PER_S
    assert watched.watch.expires_ns == expected


def test_another_trusted_certificate_is_told_also_after_a_restart(tmp_path: Path) -> None:
    first, second = der(certificate(days=100)), der(certificate(days=200))
    for shown, expected in ((first, []), (first, []), (second, ["certificate_changed"])):
        watched = Watched(tmp_path)
        watched.watch.admit(shown, is_pinned=False)
        assert [each.condition for each in watched.events] == expected


def test_an_unknown_certificate_is_told_once_and_another_one_again(watched: Watched) -> None:
    """However often it is tried; and it is told when the trouble is over."""
    first, second = der(certificate(days=100)), der(certificate(days=100))
    for shown in (first, first, second, second):
        error = UntrustedError(fingerprint_of(shown), Path("kept"), has_changed=False)
        watched.watch.refuse(error)
        assert watched.watch.untrusted == fingerprint_of(shown)
    watched.watch.admit(second, is_pinned=False)
    watched.watch.admit(second, is_pinned=False)
    assert watched.watch.untrusted == ""
    assert [transition for _, transition, _ in watched.told()] == [
        Transition.RAISED,
        Transition.RAISED,
        Transition.RETURNED,
    ]


def test_a_user_s_certificate_expires_too(watched: Watched) -> None:
    watched.watch.use_user(certificate(days=0.5))
    watched.watch.check_dates()
    assert watched.told() == [("user_certificate_expires", Transition.RAISED, 700)]


def test_trust_at_first_use_is_told(watched: Watched) -> None:
    shown = der(certificate(days=100))
    watched.watch.admit(shown, is_pinned=True)
    [event] = watched.events
    assert event.condition == "certificate_pinned"
    assert grouped(fingerprint_of(shown)) in event.text


def test_a_folder_that_cannot_be_written_stops_nothing(tmp_path: Path) -> None:
    """Who saw what is a convenience; on a full disk the machine is read all the same."""
    (tmp_path / "seen").write_text("a file where the folder should be", encoding="utf-8")
    watched = Watched(tmp_path)
    watched.watch.admit(der(certificate(days=100)), is_pinned=False)
    assert watched.watch.expires_ns is not None
