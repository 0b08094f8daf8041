"""What systemd itself says of the units, without a running manager."""

import shutil
import subprocess
from pathlib import Path

import pytest

UNITS = Path(__file__).parents[2] / "systemd"
SYSTEM_UNITS = Path("/lib/systemd/system")

pytestmark = pytest.mark.skipif(
    shutil.which("systemd-analyze") is None or not SYSTEM_UNITS.is_dir(),
    reason="systemd-analyze and systemd's own units are not installed (Debian package systemd)",
)

services = pytest.mark.parametrize("name", ["edgewright-gateway", "edgewright-cloud"])


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A root as after the installation: systemd's own units, ours, and an executable in place.

    `verify` wants the command to exist. The units are checked as they are shipped, in a root in
    which it does.
    """
    shutil.copytree(SYSTEM_UNITS, tmp_path / "usr/lib/systemd/system", symlinks=True)
    (tmp_path / "lib").symlink_to("usr/lib")
    folder = tmp_path / "etc/systemd/system"
    folder.mkdir(parents=True)
    for unit in UNITS.glob("*.service"):
        shutil.copy(unit, folder)
    command = tmp_path / "opt/edgewright/bin/edgewright"
    command.parent.mkdir(parents=True)
    command.touch(mode=0o755)
    return tmp_path


def analyze(*arguments: str) -> tuple[int, str]:
    """Return the exit code and all output of `systemd-analyze`."""
    answer = subprocess.run(
        ["systemd-analyze", *arguments], capture_output=True, text=True, check=False, timeout=50
    )
    return answer.returncode, answer.stdout + answer.stderr


@services
def test_the_unit_has_no_mistake(root: Path, name: str) -> None:
    """`verify` exits with 0 on an unknown setting: the proof is that it says nothing."""
    assert analyze("verify", f"--root={root}", f"{name}.service") == (0, "")


@services
def test_the_check_would_find_a_mistake(root: Path, name: str) -> None:
    unit = root / "etc/systemd/system" / f"{name}.service"
    unit.write_text(unit.read_text().replace("WatchdogSec=", "WatchdogSeconds="))
    _, output = analyze("verify", f"--root={root}", f"{name}.service")
    assert "WatchdogSeconds" in output


@services
def test_the_check_would_find_a_missing_command(root: Path, name: str) -> None:
    (root / "opt/edgewright/bin/edgewright").unlink()
    code, output = analyze("verify", f"--root={root}", f"{name}.service")
    assert code != 0
    assert "not executable" in output


@services
def test_the_sandbox_is_tight(name: str) -> None:
    """The exposure is at most 1.5 of 10; the threshold is given in tenths."""
    code, output = analyze(
        "security", "--offline=yes", "--threshold=15", str(UNITS / f"{name}.service")
    )
    assert code == 0, output


@pytest.mark.skipif(shutil.which("systemd-sysusers") is None, reason="no systemd-sysusers")
def test_the_group_of_the_console_is_made(tmp_path: Path) -> None:
    (tmp_path / "etc").mkdir()
    subprocess.run(
        ["systemd-sysusers", f"--root={tmp_path}", str(UNITS / "sysusers.conf")],
        check=True,
        timeout=50,
    )
    groups = [line.split(":")[0] for line in (tmp_path / "etc/group").read_text().splitlines()]
    assert "edgewright" in groups
