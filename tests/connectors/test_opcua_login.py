"""How a user logs in: the way that is chosen, and the secret that never travels in the clear."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from asyncua import ua
from asyncua.client.client import Client
from asyncua.crypto.permission_rules import User, UserRole
from asyncua.crypto.security_policies import SecurityPolicyNone
from asyncua.server.server import Server
from asyncua.server.user_managers import UserManager
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
)
from cryptography.x509.oid import NameOID

from connectors.opcua.login import POLICIES, PRIVATE_NAMES, UnsafeLoginError, choose_token
from gateway.core.errors import ConfigError
from tests.connectors.contract import failure_of, running
from tests.connectors.opcua_peer import opened_peer
from tests.connectors.sinks import KeepingSink
from tests.connectors.test_opcua_security import PASSWORD, SecurePlant, opened
from tests.connectors.wire import until
from tests.interop.peers import needs_node

BASIC, AES128, AES256 = (
    POLICIES[name].URI
    for name in ("Basic256Sha256", "Aes128_Sha256_RsaOaep", "Aes256_Sha256_RsaPss")
)
NONE = SecurityPolicyNone.URI
OLD = "http://opcfoundation.org/UA/SecurityPolicy#Basic128Rsa15"
USER, CERTIFICATE = ua.UserTokenType.UserName, ua.UserTokenType.Certificate


def policies(*uris: str, kind: ua.UserTokenType = USER) -> list[ua.UserTokenPolicy]:
    return [
        ua.UserTokenPolicy(PolicyId=f"{position}", TokenType=kind, SecurityPolicyUri=uri)
        for position, uri in enumerate(uris)
    ]


@pytest.mark.parametrize(
    ("uris", "channel", "chosen"),
    [
        ([NONE, BASIC], BASIC, BASIC),
        ([BASIC, AES256, AES128], BASIC, AES256),
        ([OLD, BASIC], BASIC, BASIC),
        ([""], AES128, AES128),
        ([NONE, OLD], BASIC, NONE),
    ],
)
def test_the_strongest_way_is_taken(uris: list[str], channel: str, chosen: str) -> None:
    """Inside a channel that encrypts; without another way the password may go in there as it is."""
    policy = choose_token(policies(*uris), USER, channel_uri=channel, is_encrypted=True)
    assert policy.SecurityPolicyUri == chosen


@pytest.mark.parametrize("uris", [[NONE], [OLD], [NONE, OLD], []])
def test_a_password_never_goes_in_the_clear(uris: list[str]) -> None:
    """A channel that only signs can be read by everybody on the way."""
    with pytest.raises(UnsafeLoginError):
        choose_token(policies(*uris), USER, channel_uri=BASIC, is_encrypted=False)


@pytest.mark.parametrize("uris", [[NONE], [OLD], []])
def test_a_certificate_always_signs(uris: list[str]) -> None:
    with pytest.raises(UnsafeLoginError):
        choose_token(
            policies(*uris, kind=CERTIFICATE), CERTIFICATE, channel_uri=BASIC, is_encrypted=True
        )


def test_nobody_in_particular_needs_a_server_that_allows_it() -> None:
    anonymous = ua.UserTokenType.Anonymous
    with pytest.raises(UnsafeLoginError, match="without a user; offered: UserName Basic256Sha256"):
        choose_token(policies(BASIC), anonymous, channel_uri=BASIC, is_encrypted=True)
    offered = policies(NONE, kind=anonymous)
    chosen = choose_token(offered, anonymous, channel_uri=BASIC, is_encrypted=True)
    assert chosen.PolicyId == "0"
    assert choose_token([], anonymous, channel_uri=NONE, is_encrypted=False).PolicyId is None


async def test_private_names_are_where_they_were() -> None:
    client = Client("opc.tcp://127.0.0.1:4840")
    for names in PRIVATE_NAMES.values():
        assert all(hasattr(client, name) for name in names)


class NotedUsers(UserManager):
    """Lets in whoever shows the right password or the right certificate; keeps what was shown."""

    def __init__(self, certificate: bytes) -> None:
        self.certificate = certificate
        self.shown: list[tuple[str | None, str | None, bytes | None]] = []

    def get_user(
        self,
        iserver: object,
        username: str | None = None,
        password: str | None = None,
        certificate: bytes | None = None,
    ) -> User | None:
        self.shown.append((username, password, certificate))
        is_known = (username, password) == ("gateway", PASSWORD) or (
            username is None and certificate == self.certificate
        )
        return User(role=UserRole.User, name="gateway") if is_known else None


class UserPlant(SecurePlant):
    """A server that signs, and asks who it is."""

    policies = (ua.SecurityPolicyType.Basic256Sha256_Sign,)

    async def prepare(self, server: Server) -> None:
        await super().prepare(server)
        certificate, _ = make_user(self.folder)
        server.iserver.user_manager = NotedUsers(certificate.public_bytes(Encoding.DER))


def make_user(folder: Path) -> tuple[x509.Certificate, rsa.RSAPrivateKey]:
    """Write a user's certificate and key into a folder."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Gateway user")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=10))
        .sign(key, hashes.SHA256())
    )
    (folder / "user.pem").write_bytes(certificate.public_bytes(Encoding.PEM))
    (folder / "user.key").write_bytes(
        key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    )
    return certificate, key


async def test_users_of_a_channel_that_only_signs(tmp_path: Path) -> None:
    """With a certificate, or with an encrypted password; where it would be plain it is not sent."""
    (tmp_path / "secret").write_text(PASSWORD, encoding="utf-8")
    async with opened(tmp_path, UserPlant) as plant:
        assert plant.server is not None
        users = plant.server.iserver.user_manager
        assert isinstance(users, NotedUsers)
        password = {"user": "gateway", "password_file": "secret"}
        certificate = {"user_certificate": "user.pem", "user_key": "user.key"}
        for login in (password, certificate):
            plant.connector = plant.connector_with(mode="Sign", **login)
            sink = KeepingSink()
            async with running(plant, sink) as task:
                await until(lambda: bool(sink.received) or task.done(), what="values")  # noqa: B023
            assert sink.received
        for endpoint in plant.server.iserver.endpoints:
            for token in endpoint.UserIdentityTokens:
                if token.TokenType == USER:
                    token.SecurityPolicyUri = NONE
        users.shown.clear()
        plant.connector = plant.connector_with(mode="Sign", **password)
        async with running(plant, KeepingSink()) as task:
            error = await failure_of(task)
        assert "would have the password in the clear" in str(error)
        assert users.shown == []


@needs_node
async def test_users_of_node_opcua(tmp_path: Path) -> None:
    make_user(tmp_path)
    (tmp_path / "secret").write_text(PASSWORD, encoding="utf-8")
    (tmp_path / "wrong").write_text("guess", encoding="utf-8")
    async with opened_peer(
        tmp_path, policies="Aes256_Sha256_RsaPss", modes="Sign,SignAndEncrypt"
    ) as plant:
        secure = {"security": "Aes256_Sha256_RsaPss"}
        password = {"user": "gateway", "password_file": "secret", "mode": "Sign"}
        certificate = {"user_certificate": "user.pem", "user_key": "user.key"}
        for login in (password, certificate):
            plant.connector = plant.connector_with(**secure, **login)
            sink = KeepingSink()
            async with running(plant, sink) as task:
                await until(lambda: bool(sink.received) or task.done(), what="values")  # noqa: B023
            assert sink.received
        plant.connector = plant.connector_with(**secure, **(password | {"password_file": "wrong"}))
        async with running(plant, KeepingSink()) as task:
            error = await failure_of(task)
        assert "Check user and password_file" in str(error)


def test_what_is_wrong_with_a_user_s_files(tmp_path: Path) -> None:
    """Each mistake is the configuration's, names the option, and quotes nothing of a secret."""
    _, key = make_user(tmp_path)
    (tmp_path / "pumps.csv").write_text("tag,node\nFlow,i=3\n", encoding="utf-8")
    other = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    plain = (Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    curve = ec.generate_private_key(ec.SECP256R1())
    (tmp_path / "other.key").write_bytes(other.private_bytes(*plain))
    (tmp_path / "curve.key").write_bytes(curve.private_bytes(*plain))
    (tmp_path / "locked.key").write_bytes(
        key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"x"))
    )
    for certificate, key_name, message in (
        ("absent.pem", "user.key", "user_certificate: .*No such file"),
        ("user.key", "user.key", "user_certificate: .* is no certificate"),
        ("user.pem", "user.pem", "user_key: .* is no key"),
        ("user.pem", "locked.key", "user_key: .* encrypted"),
        ("user.pem", "curve.key", "user_key: .* is no RSA key"),
        ("user.pem", "other.key", "user_key: .* is not the key of"),
    ):
        with pytest.raises(ConfigError, match=message):
            build(tmp_path, user_certificate=certificate, user_key=key_name)
    assert repr(build(tmp_path, user_certificate="user.pem", user_key="user.key"))


def build(folder: Path, **settings: object) -> object:
    from connectors.opcua.connector import OpcuaConfig, OpcuaConnector
    from gateway.wire.clock import SystemClock

    given = {
        "type": "opcua",
        "endpoint": "opc.tcp://h:4840",
        "security": "Basic256Sha256",
        "tags": "pumps.csv",
    }
    return OpcuaConnector(
        "pumps",
        OpcuaConfig.model_validate(given | settings),
        folder=folder,
        state_folder=folder,
        clock=SystemClock(),
    )
