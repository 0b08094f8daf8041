from pathlib import Path

import pytest

from gateway.core.errors import ConfigError
from gateway.wire.credentials import read_credential


def test_a_secret_comes_from_a_file_or_from_systemd(tmp_path: Path) -> None:
    (tmp_path / "cloud_token").write_text("  s3cret\n")
    environment = {"CREDENTIALS_DIRECTORY": str(tmp_path)}
    by_file = read_credential(file=tmp_path / "cloud_token", credential=None)
    by_name = read_credential(file=None, credential="cloud_token", environment=environment)
    assert by_file.get_secret_value() == by_name.get_secret_value() == "s3cret"
    assert "s3cret" not in f"{by_file!r} {by_file}"


@pytest.mark.parametrize("content", [b"", b" \n", b"one\ntwo", b"\xff\xfe"])
def test_what_is_no_single_line_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "token"
    path.write_bytes(content)
    with pytest.raises(ConfigError, match="token"):
        read_credential(file=path, credential=None)


@pytest.mark.parametrize("name", ["../shadow", "a/b", "..", ""])
def test_a_name_never_leaves_the_folder(tmp_path: Path, name: str) -> None:
    with pytest.raises(ConfigError):
        read_credential(
            file=None, credential=name, environment={"CREDENTIALS_DIRECTORY": str(tmp_path)}
        )


def test_without_systemd_a_credential_says_what_to_do() -> None:
    with pytest.raises(ConfigError, match="LoadCredential=cloud_token:FILE"):
        read_credential(file=None, credential="cloud_token", environment={})
