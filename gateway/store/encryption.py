"""Bodies that only who has the key can read: AES-256-GCM (NIST SP 800-38D), one body at a time.

    0xE1 · key (4 bytes) · nonce (12 bytes, random) · ciphertext and tag (16 bytes)

`key` names the key by the first bytes of its fingerprint. A body is made with a key of its own,
HMAC-SHA-256 of the log's key over the body's place (NIST SP 800-108, one block): the few bodies
that ever lie in one place are far from where random nonces repeat, however many lie in the log.
The place is the associated data too, so a body moved to another place is refused.

A body that was stored before there was a key does not open with 0xE1 and is read as it is. What
is encrypted is secret; that nobody put a plain body in its place is not promised.
"""

import hmac
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from gateway.core.errors import ConfigError, CorruptRecordError
from gateway.store.bodies import Bodies, PlainBodies
from gateway.store.settings import EncryptionSettings
from gateway.wire.credentials import read_credential

KEY_BYTES: Final = 32
FINGERPRINT_BYTES: Final = 16

_MARK: Final = 0xE1
"""Opens what is stored; the version byte of a plain body is smaller."""
_NAME_BYTES: Final = 4
_NONCE_BYTES: Final = 12
_TAG_BYTES: Final = 16
_HEAD_BYTES: Final = 1 + _NAME_BYTES + _NONCE_BYTES


class EncryptedBodies:
    """Implements `Bodies`; may be used by any thread."""

    def __init__(self, keys: Sequence[bytes]) -> None:
        """Take the keys.

        Args:
            keys: New bodies are made with the first; all of them open those that are there.
        """
        assert keys, "there is a key to encrypt with"
        assert all(len(key) == KEY_BYTES for key in keys)
        # Here and not at the top: a gateway that does not encrypt does not load it.
        from cryptography.exceptions import InvalidTag
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM

        self._cipher = AESGCM
        self._refusal = InvalidTag
        self.fingerprints = tuple(fingerprint_of(key) for key in keys)
        self._names = tuple(each[:_NAME_BYTES] for each in self.fingerprints)
        self._keys = tuple(keys)

    def put(self, body: bytes, *, place: str) -> bytes:
        """Return the body, encrypted for its place with the first key."""
        data = place.encode()
        nonce = os.urandom(_NONCE_BYTES)
        sealed = self._cipher(_key_for(data, self._keys[0])).encrypt(nonce, body, data)
        return b"".join((bytes((_MARK,)), self._names[0], nonce, sealed))

    def get(self, stored: bytes, *, place: str) -> bytes:
        """Return the body; one that was stored without encryption is returned as it is.

        Raises:
            CorruptRecordError: damaged, made for another place, or with a key that is not here.
        """
        if stored[:1] != bytes((_MARK,)):
            return stored
        if len(stored) < _HEAD_BYTES + _TAG_BYTES:
            raise CorruptRecordError(f"an encrypted body of {len(stored)} bytes is cut short")
        name = stored[1 : 1 + _NAME_BYTES]
        data = place.encode()
        nonce = stored[1 + _NAME_BYTES : _HEAD_BYTES]
        for key, known in zip(self._keys, self._names, strict=True):
            if name != known:
                continue
            try:
                return self._cipher(_key_for(data, key)).decrypt(nonce, stored[_HEAD_BYTES:], data)
            except self._refusal as error:
                raise CorruptRecordError(
                    f"the encrypted body at {place} is damaged, or was made for another place"
                ) from error
        raise CorruptRecordError(
            f"the body at {place} is encrypted with the key {name.hex()}, which is not here"
        )


def bodies_of(settings: EncryptionSettings | None) -> Bodies:
    """Return how bodies are stored by these settings; None is without encryption.

    Raises:
        ConfigError: a key cannot be read, or is none.
    """
    if settings is None:
        return PlainBodies()
    newest = read_key(file=settings.key_file, credential=settings.key_credential)
    return EncryptedBodies([newest, *(read_key(file=path) for path in settings.previous_key_files)])


def read_key(*, file: Path | None = None, credential: str | None = None) -> bytes:
    """Return a key from a file or a credential, one line of 64 hexadecimal digits.

    Raises:
        ConfigError: it cannot be read, or is none.
    """
    text = read_credential(file=file, credential=credential).get_secret_value()
    try:
        key = bytes.fromhex(text)
    except ValueError:
        # What was found stays untold: it may be a key after all.
        key = b""
    if len(key) != KEY_BYTES:
        raise ConfigError(
            f"{file or credential}: holds no key of the log, which is one line of "
            f"{2 * KEY_BYTES} hexadecimal digits: make one with `edgewright log key --out FILE`"
        )
    return key


def fingerprint_of(key: bytes) -> bytes:
    """Return what tells one key from another, and says nothing about the key."""
    return hmac.digest(key, b"edgewright log key", "sha256")[:FINGERPRINT_BYTES]


def _key_for(place: bytes, key: bytes) -> bytes:
    return hmac.digest(key, b"edgewright log body " + place, "sha256")
