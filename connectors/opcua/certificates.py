"""What is known of the certificates of one connection, over all its sessions.

It tells, each time once: that the server shows a certificate that is not trusted, that it shows
another one than last time, and that a certificate expires soon. Nothing is refused because of a
date: a gateway without a clock must come up too, and a plant does not stop on a day in a calendar.
"""

from collections.abc import Callable
from datetime import datetime
from pathlib import Path

import structlog
from cryptography import x509

from connectors.opcua.certificate_store import read_sights, write_sights
from connectors.opcua.trust import UntrustedError, fingerprint_of, grouped
from gateway.core.events import Event, Transition
from gateway.core.ports import Clock
from gateway.core.times import utc_text

UNTRUSTED = "certificate_untrusted"
CHANGED = "certificate_changed"
EXPIRES = "certificate_expires"
OWN_EXPIRES = "own_certificate_expires"
USER_EXPIRES = "user_certificate_expires"
PINNED = "certificate_pinned"
"""Conditions of the events."""
UNTRUSTED_SEVERITY = 700
TRUSTED_SEVERITY = 100
CHANGED_SEVERITY = 400
PINNED_SEVERITY = 300
EXPIRY_SEVERITIES = (300, 500, 700, 800)
"""At the configured days before, at 7 days, at 1 day, and when it has expired."""
SEEN_AGAIN_S = 3600
"""The time of the last sight is kept this exactly, to spare the flash."""
NS_PER_S = 1_000_000_000
DAY_NS = 86_400 * NS_PER_S

_WHOSE = {EXPIRES: "the server's", OWN_EXPIRES: "the gateway's", USER_EXPIRES: "the user's"}

Note = Callable[[Event], None]

log = structlog.get_logger()


class CertificateWatch:
    """Watches the certificates of one connection; lives as long as its connector."""

    def __init__(self, name: str, *, folder: Path, warning_days: int, clock: Clock) -> None:
        """Begin with what the folder remembers.

        Args:
            name: Of the connector.
            folder: See `trust`.
            warning_days: When to warn first.
            clock: Time.
        """
        self._name = name
        self._folder = folder
        self._limits_ns = tuple(days * DAY_NS for days in (warning_days, 7, 1, 0))
        self._clock = clock
        self._note: Note = _unheard
        self._expires_ns: dict[str, int] = {}
        self._levels: dict[str, int] = {}
        self._untrusted = ""

    @property
    def expires_ns(self) -> int | None:
        """When the first of the certificates expires, UTC; None when none was seen."""
        return min(self._expires_ns.values(), default=None)

    @property
    def untrusted(self) -> str:
        """SHA-256 of the certificate that a person must trust first; empty when there is none."""
        return self._untrusted

    def listen(self, note: Note) -> None:
        """Tell a new session's sink from now on."""
        self._note = note

    def use_own(self, certificate: x509.Certificate) -> None:
        """Take note of the gateway's certificate."""
        self._expires_ns[OWN_EXPIRES] = _ns(certificate.not_valid_after_utc)

    def use_user(self, certificate: x509.Certificate) -> None:
        """Take note of the certificate that a user logs in with."""
        self._expires_ns[USER_EXPIRES] = _ns(certificate.not_valid_after_utc)

    def admit(self, certificate: bytes, *, is_pinned: bool) -> None:
        """Take note of a server's certificate that is trusted.

        Args:
            certificate: DER.
            is_pinned: Whether it is trusted only now, because it is the first one.
        """
        fingerprint = fingerprint_of(certificate)
        if is_pinned:
            self._tell(
                PINNED,
                PINNED_SEVERITY,
                Transition.NOTED,
                f"{self._name}: the server's certificate is trusted from now on, because it is "
                f"the first one: SHA-256 {grouped(fingerprint)}; compare it with the server's own "
                "display",
            )
        if self._untrusted:
            self._untrusted = ""
            self._tell(
                UNTRUSTED,
                TRUSTED_SEVERITY,
                Transition.RETURNED,
                f"{self._name}: the server shows a trusted certificate, SHA-256 "
                f"{grouped(fingerprint)}",
            )
        before = self._see(fingerprint, is_admitted=True)
        if before not in ("", fingerprint):
            self._tell(
                CHANGED,
                CHANGED_SEVERITY,
                Transition.NOTED,
                f"{self._name}: the server shows another certificate than last time, a trusted "
                f"one: SHA-256 {grouped(fingerprint)} instead of {grouped(before)}",
            )
        parsed = x509.load_der_x509_certificate(certificate)
        self._expires_ns[EXPIRES] = _ns(parsed.not_valid_after_utc)

    def refuse(self, error: UntrustedError) -> None:
        """Take note of a server's certificate that is not trusted; tell it once."""
        self._see(error.fingerprint, is_admitted=False)
        if self._untrusted == error.fingerprint:
            return
        self._untrusted = error.fingerprint
        what = (
            "another certificate than the one trusted at its first use"
            if error.has_changed
            else "a certificate that is not trusted"
        )
        self._tell(
            UNTRUSTED,
            UNTRUSTED_SEVERITY,
            Transition.RAISED,
            f"{self._name}: the server shows {what}, SHA-256 {grouped(error.fingerprint)}: "
            "compare it with the server's own display; if they are equal: edgewright certs trust "
            f"{error.fingerprint[:16]}",
        )

    def check_dates(self) -> None:
        """Tell which certificates expire soon, each limit once."""
        now_ns = self._clock.now_ns()
        for condition, expires_ns in self._expires_ns.items():
            level = sum(expires_ns - now_ns <= limit_ns for limit_ns in self._limits_ns)
            before = self._levels.get(condition, 0)
            self._levels[condition] = level
            whose = _WHOSE[condition]
            days = (expires_ns - now_ns) / DAY_NS
            when = f"on {utc_text(expires_ns)}"
            if level > before:
                verb = f"expires in {days:.0f} days," if days > 0 else "expired"
                self._tell(
                    condition,
                    EXPIRY_SEVERITIES[level - 1],
                    Transition.RAISED,
                    f"{self._name}: {whose} certificate {verb} {when}",
                )
            elif before and not level:
                self._tell(
                    condition,
                    TRUSTED_SEVERITY,
                    Transition.RETURNED,
                    f"{self._name}: {whose} certificate is a new one, which expires {when}",
                )

    def _see(self, fingerprint: str, *, is_admitted: bool) -> str:
        """Remember a sight; return the certificate that was admitted before."""
        sights = read_sights(self._folder, self._name)
        now_ns = self._clock.now_ns()
        age_ns = abs(now_ns - sights.times_ns.get(fingerprint, 0))
        is_new = is_admitted and sights.admitted != fingerprint
        if is_new or age_ns >= SEEN_AGAIN_S * NS_PER_S:
            more = sights.with_sight(fingerprint, time_ns=now_ns, is_admitted=is_admitted)
            try:
                write_sights(self._folder, self._name, more)
            except OSError as error:
                # On a full disk the machine is read all the same.
                log.warning("sight_not_kept", device=self._name, reason=repr(error))
        return sights.admitted

    def _tell(self, condition: str, severity: int, transition: Transition, text: str) -> None:
        self._note(
            Event(
                time_ns=self._clock.now_ns(),
                source=self._name,
                condition=condition,
                severity=severity,
                transition=transition,
                text=text,
            )
        )


def _ns(time: datetime) -> int:
    return int(time.timestamp()) * NS_PER_S


def _unheard(_: Event) -> None:
    """Stand in for the sink before the first session."""
