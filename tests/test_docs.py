"""What the documents promise: examples that work, and every command described."""

import re
from pathlib import Path

import pytest

from gateway.cli import COMMANDS
from gateway.config import read_config
from gateway.service.build import build_parts
from gateway.wire.clock import SystemClock

ROOT = Path(__file__).parent.parent
COMMAND_LINE = re.compile(r"^\s+edgewright ([a-z]+)", re.MULTILINE)
PACKAGES = ("gateway", "twins", "analytics", "connectors", "cloud_sync", "systemd")


def indented_block(text: str, after: str) -> str:
    """Return the indented block that follows a line of a Markdown text."""
    lines = text.partition(after)[2].splitlines()[1:]
    block: list[str] = []
    for line in lines:
        if line.startswith("    ") or (block and not line):
            block.append(line[4:])
        elif block:
            break
    return "\n".join(block).strip() + "\n"


def test_the_readmes_first_configuration_works(tmp_path: Path) -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    (tmp_path / "blower.csv").write_text(indented_block(text, "`blower.csv`, from"))
    path = tmp_path / "gateway.toml"
    path.write_text(indented_block(text, "\n`gateway.toml`:"))
    parts = build_parts(read_config(path), folder=tmp_path, clock=SystemClock())
    assert [connector.name for connector in parts.connectors] == ["blower"]
    assert len(parts.connectors[0].tags) == 3


def test_the_readmes_configuration_for_a_recording_works(tmp_path: Path) -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    (tmp_path / "nodes.csv").write_text(indented_block(text, "\n`nodes.csv`, the node list:"))
    path = tmp_path / "mixer.toml"
    path.write_text(indented_block(text, "\n`mixer.toml` subscribes"))
    parts = build_parts(read_config(path), folder=tmp_path, clock=SystemClock())
    assert [tag.id for tag in parts.tags[:2]] == ["mixer.flow_m3h", "mixer.current_a"]


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_is_documented(name: str) -> None:
    text = (ROOT / "gateway" / "README.md").read_text(encoding="utf-8")
    assert f"| `edgewright {name}" in text


def test_documents_name_only_commands_that_exist() -> None:
    unknown = {
        f"{path.relative_to(ROOT)}: edgewright {name}"
        for path in ROOT.rglob("*.md")
        if ".venv" not in path.parts
        for name in re.findall(
            r"^\s+edgewright ([a-z]+)", path.read_text(encoding="utf-8"), re.MULTILINE
        )
        if name not in COMMANDS
    }
    assert unknown == set()


@pytest.mark.parametrize("package", PACKAGES)
def test_every_package_has_a_readme(package: str) -> None:
    assert (ROOT / package / "README.md").is_file()
