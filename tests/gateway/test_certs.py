"""`edgewright certs`: what a person sees and does."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from connectors.opcua.trust import Trust, UntrustedError, admit_server, own_identity
from gateway.cli.certs import command

NOW_NS = 1_780_000_000_000_000_000
CONFIG = """\
[gateway]
id = "gate"
state_folder = "state"
"""


@pytest.fixture
def fingerprint(tmp_path: Path) -> str:
    """Leave a folder with an own certificate and a rejected one; return the latter's SHA-256."""
    folder = tmp_path / "state" / "opcua"
    own_identity(folder, now_ns=NOW_NS)
    server = own_identity(tmp_path / "server", now_ns=NOW_NS).certificate_path.read_bytes()
    with pytest.raises(UntrustedError) as caught:
        admit_server(server, folder=folder, trust=Trust.FOLDER, pin_name="pumps")
    (tmp_path / "gateway.toml").write_text(CONFIG, encoding="utf-8")
    return caught.value.fingerprint


def run(*arguments: str) -> Result:
    return CliRunner().invoke(command, list(arguments))


def test_list_reads_aloud(tmp_path: Path, fingerprint: str) -> None:
    answer = run("list", "-c", str(tmp_path / "gateway.toml"))
    assert answer.exit_code == 0
    assert "own      CN=Edgewright on" in answer.output
    assert "rejected CN=Edgewright on" in answer.output
    assert " ".join(fingerprint[at : at + 4] for at in range(0, 32, 4)) in answer.output
    assert "valid    2025-01-01 to 20" in answer.output


def test_trust_and_reject_by_prefix(tmp_path: Path, fingerprint: str) -> None:
    state = ("--state", str(tmp_path / "state"))
    assert run("trust", fingerprint[:10], *state).exit_code == 0
    listed = json.loads(run("list", "--json", *state).output)
    assert {each["sha256"]: each["place"] for each in listed}[fingerprint] == "trusted"
    assert run("reject", fingerprint[:10], *state).exit_code == 0
    listed = json.loads(run("list", "--json", *state).output)
    assert {each["sha256"]: each["place"] for each in listed}[fingerprint] == "rejected"


def test_own_is_exported(tmp_path: Path, fingerprint: str) -> None:
    target = tmp_path / "gateway.der"
    answer = run("own", "--export", str(target), "--state", str(tmp_path / "state"))
    assert answer.exit_code == 0
    own = tmp_path / "state" / "opcua" / "own" / "certificate.der"
    assert target.read_bytes() == own.read_bytes()


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (("trust", "0123456789"), 1, "no rejected certificate begins with 0123456789"),
        (("trust", "pump"), 1, "is not the beginning of a SHA-256"),
        (("own", "--export", "/nowhere/at/all"), 1, "No such file"),
    ],
)
def test_mistakes_are_said(
    tmp_path: Path, fingerprint: str, arguments: tuple[str, ...], code: int, message: str
) -> None:
    answer = run(*arguments, "--state", str(tmp_path / "state"))
    assert answer.exit_code == code
    assert message in answer.output


def test_where_is_asked_for(tmp_path: Path) -> None:
    assert "either -c FILE or --state FOLDER" in run("list").output
    answer = run("list", "--state", str(tmp_path))
    assert "no certificates yet" in answer.output
