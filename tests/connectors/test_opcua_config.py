"""Settings of the OPC UA connector that cannot be right are refused, in words."""

from pathlib import Path

import pytest
from pydantic import ValidationError

from connectors.opcua.connector import OpcuaConfig, OpcuaConnector
from gateway.core.errors import ConfigError
from gateway.wire.clock import SystemClock


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"endpoint": "http://host:4840"}, "opc.tcp"),
        ({"endpoint": "opc.tcp://me:secret@host:4840"}, "not in the endpoint"),
        ({"user": "me", "password_file": "p"}, "in the clear"),
        ({"user": "me", "security": "Basic256Sha256"}, "belong together"),
        ({"mode": "Sign"}, "needs a security"),
        ({"user_certificate": "u.pem", "user_key": "u.key"}, "needs security"),
        ({"user_certificate": "u.pem", "security": "Basic256Sha256"}, "belong together"),
        (
            {
                "user": "me",
                "password_file": "p",
                "user_certificate": "u.pem",
                "user_key": "u.key",
                "security": "Basic256Sha256",
            },
            "two ways to log in",
        ),
        ({"silence_s_max": 5}, "below twice"),
        ({"security": "Basic128Rsa15"}, "Basic256Sha256"),
        ({"unknown": 1}, "not permitted"),
    ],
)
def test_settings_that_make_no_sense(settings: dict[str, object], message: str) -> None:
    given = {"type": "opcua", "endpoint": "opc.tcp://h:4840", "security": "None", "tags": "p.csv"}
    with pytest.raises(ValidationError, match=message):
        OpcuaConfig.model_validate(given | settings)


def test_security_has_no_default() -> None:
    with pytest.raises(ValidationError, match="security"):
        OpcuaConfig.model_validate(
            {"type": "opcua", "endpoint": "opc.tcp://h:4840", "tags": "p.csv"}
        )


def test_a_missing_password_is_a_mistake_in_the_configuration(tmp_path: Path) -> None:
    (tmp_path / "pumps.csv").write_text("tag,node\nFlow,i=3\n", encoding="utf-8")
    config = OpcuaConfig.model_validate(
        {
            "type": "opcua",
            "endpoint": "opc.tcp://h:4840",
            "security": "Basic256Sha256",
            "tags": "pumps.csv",
            "user": "gateway",
            "password_file": "secret",
        }
    )
    with pytest.raises(ConfigError, match="password_file"):
        OpcuaConnector("pumps", config, folder=tmp_path, state_folder=tmp_path, clock=SystemClock())
