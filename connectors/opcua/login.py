"""How a user's secret travels: the choice of a user token policy, and a client that keeps to it.

A server offers several policies for one kind of login (OPC 10000-4, 7.42). asyncua takes the first
of the kind, and with a policy of None it sends the password as it is. Here the strongest policy is
taken, and a password leaves unencrypted only inside a channel that is encrypted itself.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import TypeAlias

from asyncua import ua
from asyncua.client.client import Client
from asyncua.crypto.security_policies import (
    SecurityPolicyAes128Sha256RsaOaep,
    SecurityPolicyAes256Sha256RsaPss,
    SecurityPolicyBasic256Sha256,
    SecurityPolicyNone,
)

from connectors.opcua.client import ColumnClient

Policy: TypeAlias = (
    type[SecurityPolicyAes256Sha256RsaPss]
    | type[SecurityPolicyAes128Sha256RsaOaep]
    | type[SecurityPolicyBasic256Sha256]
)
POLICIES: dict[str, Policy] = {
    "Aes256_Sha256_RsaPss": SecurityPolicyAes256Sha256RsaPss,
    "Aes128_Sha256_RsaOaep": SecurityPolicyAes128Sha256RsaOaep,
    "Basic256Sha256": SecurityPolicyBasic256Sha256,
}
"""By the name in the configuration, the strongest first."""
PRIVATE_NAMES: dict[type, tuple[str, ...]] = {Client: ("_policy_ids",)}
"""What the client below uses inside asyncua; a test fails when it moves."""
_STRENGTH = {policy.URI: rank for rank, policy in enumerate(reversed(POLICIES.values()), start=1)}


class UnsafeLoginError(Exception):
    """The server offers no way to log in that keeps the secret.

    Attributes:
        what: Continues the sentence that the device opens.
        offered: The ways it offers, for the expert.
    """

    def __init__(self, what: str, *, offered: str) -> None:
        """Say why."""
        super().__init__(f"{what}; offered: {offered}")
        self.what = what
        self.offered = offered


class LoginClient(ColumnClient):
    """A client that logs in as `choose_token` says."""

    def server_policy(self, token_type: ua.UserTokenType) -> ua.UserTokenPolicy:
        """Return the token policy to use; the endpoints came over the secured channel.

        Raises:
            UnsafeLoginError: none is safe.
        """
        return choose_token(
            self._policy_ids,
            token_type,
            channel_uri=self.security_policy.URI,
            is_encrypted=self.security_policy.Mode == ua.MessageSecurityMode.SignAndEncrypt,
        )


def choose_token(
    offered: Sequence[ua.UserTokenPolicy],
    token_type: ua.UserTokenType,
    *,
    channel_uri: str,
    is_encrypted: bool,
) -> ua.UserTokenPolicy:
    """Return the strongest token policy of a kind, its policy's URI filled in.

    Args:
        offered: Those of the endpoint; an empty URI means the channel's.
        token_type: The kind of login.
        channel_uri: Policy of the channel.
        is_encrypted: Whether the channel itself encrypts.
    Raises:
        UnsafeLoginError: there is none of the kind, or none that keeps the secret.
    """
    known = [
        policy
        if policy.SecurityPolicyUri
        else replace(policy, SecurityPolicyUri=channel_uri)  # OPC 10000-4, 7.42
        for policy in offered
        if policy.TokenType == token_type
    ]
    words = ", ".join(sorted({_words(policy) for policy in offered})) or "nothing"
    if token_type == ua.UserTokenType.Anonymous:
        # No secret, so nothing to weigh. A server that lists no way at all may still mean this.
        if known or not offered:
            return known[0] if known else ua.UserTokenPolicy(TokenType=token_type)
        raise UnsafeLoginError("lets nobody in without a user", offered=words)
    if not known:
        raise UnsafeLoginError(f"does not offer to log in by {_KINDS[token_type]}", offered=words)
    safe = [policy for policy in known if policy.SecurityPolicyUri in _STRENGTH]
    if safe:
        return max(safe, key=lambda policy: _STRENGTH[policy.SecurityPolicyUri])
    plain = [policy for policy in known if policy.SecurityPolicyUri == SecurityPolicyNone.URI]
    if plain and is_encrypted and token_type == ua.UserTokenType.UserName:
        return plain[0]
    if plain and token_type == ua.UserTokenType.UserName:
        raise UnsafeLoginError("would have the password in the clear", offered=words)
    raise UnsafeLoginError("wants a way to log in that is not safe any more", offered=words)


_KINDS = {
    ua.UserTokenType.UserName: "user name",
    ua.UserTokenType.Certificate: "certificate",
    ua.UserTokenType.IssuedToken: "issued token",
}


def _words(policy: ua.UserTokenPolicy) -> str:
    uri = str(policy.SecurityPolicyUri or "")
    return f"{policy.TokenType.name} {policy_name(uri) if uri else 'as the channel'}"


def policy_name(uri: str) -> str:
    """Return the name at the end of a policy's URI."""
    return uri.rpartition("#")[2] or uri
