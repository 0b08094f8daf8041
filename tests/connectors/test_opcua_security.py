"""Security against asyncua's server and node-opcua: policies, trust, and no way round them."""

import shutil
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from asyncua import ua
from asyncua.crypto.permission_rules import SimpleRoleRuleset, User, UserRole
from asyncua.server.server import Server
from asyncua.server.user_managers import UserManager
from cryptography import x509
from cryptography.hazmat.primitives import serialization

from connectors.opcua.certificate_store import Place, stored_certificates, trust_certificate
from connectors.opcua.connector import OpcuaConnector
from connectors.opcua.trust import (
    Trust,
    UntrustedError,
    admit_server,
    fingerprint_of,
    grouped,
    own_identity,
)
from gateway.core.events import Transition
from tests.connectors.contract import failure_of, running
from tests.connectors.opcua_peer import MODES, POLICIES, PeerPlant, opened_peer
from tests.connectors.opcua_plant import OpcuaPlant
from tests.connectors.sinks import KeepingSink
from tests.connectors.wire import Wire, until
from tests.interop.peers import needs_node

PASSWORD = "correct horse"
ENDPOINTS = b"SecurityPolicy#"
"""In the endpoints that a session's begin brings: readable unless the channel encrypts."""
NOW_NS = 1_780_000_000_000_000_000


class OneUser(UserManager):
    """Lets one user in, and anonymous ones where no password is asked for."""

    def get_user(
        self,
        iserver: object,
        username: str | None = None,
        password: str | None = None,
        certificate: object = None,
    ) -> User | None:
        is_known = username is None or (username, password) == ("gateway", PASSWORD)
        return User(role=UserRole.User, name=username) if is_known else None


class SecurePlant(OpcuaPlant):
    """A server that signs and encrypts, and nothing less."""

    policies: Sequence[ua.SecurityPolicyType] = (
        ua.SecurityPolicyType.Basic256Sha256_SignAndEncrypt,
    )

    def connector_with(self, **settings: object) -> OpcuaConnector:
        secure: dict[str, object] = {"security": "Basic256Sha256", "trust": "first_use"}
        return super().connector_with(**(secure | settings))

    async def prepare(self, server: Server) -> None:
        server.set_security_policy(
            list(self.policies),
            permission_ruleset=SimpleRoleRuleset(),  # type: ignore[no-untyped-call]  # asyncua's
        )
        identity = own_identity(self.folder / "server", now_ns=NOW_NS)
        await server.set_application_uri(identity.application_uri)
        await server.load_certificate(identity.certificate_path)
        await server.load_private_key(identity.key_path)
        server.iserver.user_manager = OneUser()


class EveryPolicyPlant(SecurePlant):
    """A server with every policy and mode that is safe, by default of asyncua."""

    policies = tuple(
        ua.SecurityPolicyType[f"{policy.replace('_', '')}_{mode}"]
        for policy in POLICIES
        for mode in MODES
    )


@pytest.fixture
async def plant(tmp_path: Path) -> AsyncIterator[SecurePlant]:
    async with opened(tmp_path) as plant:
        yield plant


@asynccontextmanager
async def opened(folder: Path, kind: type[SecurePlant] = SecurePlant) -> AsyncIterator[SecurePlant]:
    async with Wire() as wire:
        plant = kind(folder, wire)
        await plant.start_server()
        yield plant
        await plant.stop_server()


async def test_first_use_pins_the_server(plant: SecurePlant) -> None:
    """The first certificate is kept; another one later is refused, and nothing is sent to it."""
    sink = KeepingSink()
    async with running(plant, sink):
        await until(lambda: len(sink.received) >= 3, what="values over the secure channel")
    pins = list((plant.folder / "state" / "trusted").iterdir())
    assert [pin.name for pin in pins] == ["first-use-pumps.der"]
    stream = b"".join(bytes(stretch) for stretch in plant.wire.downstream)
    assert b"P101" not in stream

    await plant.stop_server()
    plant.wire.cut()
    shutil.rmtree(plant.folder / "server")
    await plant.start_server()
    again = KeepingSink()
    async with running(plant, again) as task:
        error = await failure_of(task)
    assert "another certificate than the one trusted at its first use" in str(error)
    assert again.frames == []


async def test_a_folder_of_trusted_certificates(plant: SecurePlant) -> None:
    """Refused until a person trusts it; told once; trusted without making the connector anew."""
    plant.connector = plant.connector_with(trust="folder")
    folder = plant.folder / "state"
    sink = KeepingSink()
    for _ in range(2):
        async with running(plant, sink) as task:
            error = await failure_of(task)
    [rejected] = (folder / "rejected").iterdir()
    fingerprint = fingerprint_of(rejected.read_bytes())
    assert fingerprint in str(error)
    assert str(rejected) in str(error)
    assert plant.connector.report().untrusted_certificate == fingerprint
    [event] = sink.events
    assert (event.source, event.condition) == ("pumps", "certificate_untrusted")
    assert event.transition is Transition.RAISED
    assert grouped(fingerprint) in event.text

    trust_certificate(folder, fingerprint[:8])
    async with running(plant, sink):
        await until(lambda: bool(sink.received), what="values from a trusted server")
    assert plant.connector.report().untrusted_certificate == ""
    assert plant.connector.report().certificate_expires_ns is not None
    assert [each.transition for each in sink.events] == [Transition.RAISED, Transition.RETURNED]
    [stored] = [each for each in stored_certificates(folder) if each.fingerprint == fingerprint]
    assert (stored.place, stored.connector) == (Place.TRUSTED, "pumps")


async def test_a_user_logs_in_with_the_password_of_a_file(plant: SecurePlant) -> None:
    (plant.folder / "secret").write_text(f"{PASSWORD}\n", encoding="utf-8")
    plant.connector = plant.connector_with(user="gateway", password_file="secret")
    assert PASSWORD not in repr(vars(plant.connector))
    sink = KeepingSink()
    async with running(plant, sink):
        await until(lambda: bool(sink.received), what="values for the user")
    (plant.folder / "secret").write_text("wrong", encoding="utf-8")
    plant.connector = plant.connector_with(user="gateway", password_file="secret")
    async with running(plant, KeepingSink()) as task:
        error = await failure_of(task)
    assert "Check user and password_file" in str(error)
    assert "wrong" not in str(error)


async def test_a_stop_loses_nothing_over_a_secure_channel(plant: SecurePlant) -> None:
    sink = KeepingSink()
    async with running(plant, sink):
        await until(lambda: len(sink.received) >= 10, what="frames")
    values = sink.values_of(plant.index("Flow"))
    assert values == [values[0] + step for step in range(len(values))]


async def assert_every_policy_and_mode_is_used(plant: SecurePlant | PeerPlant) -> None:
    """Connect with each; the channel that the server opened has it, and hides what it should."""
    for policy in POLICIES:
        for mode in MODES:
            plant.wire.downstream.clear()
            plant.connector = plant.connector_with(security=policy, mode=mode)
            sink = KeepingSink()
            async with running(plant, sink) as task:
                await until(lambda: bool(sink.received) or task.done(), what="values")  # noqa: B023
            assert sink.received, f"{policy} with {mode}"
            [channel] = [
                bytes(stretch)
                for stretch in plant.wire.downstream
                if f"#{policy}".encode() in stretch[:120]
            ]
            assert (ENDPOINTS in channel[200:]) == (mode == "Sign")


async def test_every_policy_and_mode_against_asyncua(tmp_path: Path) -> None:
    async with opened(tmp_path, EveryPolicyPlant) as plant:
        await assert_every_policy_and_mode_is_used(plant)


@needs_node
async def test_every_policy_and_mode_against_node_opcua(tmp_path: Path) -> None:
    async with opened_peer(tmp_path, policies=",".join(POLICIES), modes=",".join(MODES)) as plant:
        await assert_every_policy_and_mode_is_used(plant)


@needs_node
@pytest.mark.slow
async def test_a_server_that_does_not_trust_us_gets_a_file_from_a_person(tmp_path: Path) -> None:
    """The message names the file; the server lets us in once it has it."""
    pki = tmp_path / "pki"
    server = {"policies": "Basic256Sha256", "modes": "SignAndEncrypt", "trust": "refuse"}
    async with opened_peer(tmp_path, **server) as plant:
        async with running(plant, KeepingSink()) as task:
            error = await failure_of(task)
        own = tmp_path / "state" / "own" / "certificate.der"
        assert f"Give the file {own} to whoever runs the server" in str(error)
    [rejected] = (pki / "rejected").iterdir()
    rejected.rename(pki / "trusted" / "certs" / rejected.name)
    async with opened_peer(tmp_path, **server) as plant:
        sink = KeepingSink()
        async with running(plant, sink) as task:
            await until(lambda: bool(sink.received) or task.done(), what="values")
        assert sink.received


async def test_a_weaker_endpoint_is_never_taken(tmp_path: Path) -> None:
    """The right policy with the wrong mode, and the other way round; the offer is in the error."""
    async with opened(tmp_path) as plant:
        for settings in ({"mode": "Sign"}, {"security": "Aes256_Sha256_RsaPss"}):
            plant.connector = plant.connector_with(**settings)
            sink = KeepingSink()
            async with running(plant, sink) as task:
                error = await failure_of(task)
            assert "never uses less than configured" in str(error)
            assert "offered: Basic256Sha256 with SignAndEncrypt" in str(error)
            assert sink.frames == []


def test_our_certificate_is_made_once(tmp_path: Path) -> None:
    identity = own_identity(tmp_path, now_ns=NOW_NS)
    first = identity.certificate_path.read_bytes()
    assert own_identity(tmp_path, now_ns=NOW_NS) == identity
    assert identity.certificate_path.read_bytes() == first
    assert identity.key_path.stat().st_mode & 0o777 == 0o600
    assert sorted(path.name for path in tmp_path.iterdir()) == ["own"]


def test_our_certificate_is_valid_although_the_clock_was_wrong(tmp_path: Path) -> None:
    """A gateway without a battery makes its certificate in 1970 and uses it later."""
    identity = own_identity(tmp_path, now_ns=0)
    certificate = x509.load_der_x509_certificate(identity.certificate_path.read_bytes())
    assert certificate.not_valid_before_utc.year == 1970
    assert certificate.not_valid_after_utc.year > 2040


@pytest.mark.parametrize("form", ["pem", "der"])
def test_trusted_certificates_in_either_form(tmp_path: Path, form: str) -> None:
    der = own_identity(tmp_path / "server", now_ns=NOW_NS).certificate_path.read_bytes()
    with pytest.raises(UntrustedError):
        admit_server(der, folder=tmp_path, trust=Trust.FOLDER, pin_name="pumps")
    data = der
    if form == "pem":
        certificate = x509.load_der_x509_certificate(der)
        data = certificate.public_bytes(serialization.Encoding.PEM)
    (tmp_path / "trusted" / f"server.{form}").write_bytes(data)
    (tmp_path / "trusted" / "damaged.pem").write_bytes(b"-----BEGIN NOTHING-----")
    admit_server(der, folder=tmp_path, trust=Trust.FOLDER, pin_name="pumps")
