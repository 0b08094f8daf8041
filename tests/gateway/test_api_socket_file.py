"""The socket's file: stale ones are replaced, living ones and strangers are not."""

import socket
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway.api.socket_file import SocketFile
from gateway.core.errors import ConfigError


@pytest.fixture
def path() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="ew") as folder:
        yield Path(folder) / "api.sock"


def test_a_stale_socket_is_replaced(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as stale:
        stale.bind(str(path))
    file = SocketFile(path, mode=0o660)
    with file.socket, socket.socket(socket.AF_UNIX) as client:
        client.connect(str(path))
        file.remove()
    assert list(path.parent.iterdir()) == []


def test_a_living_gateway_is_not_replaced(path: Path) -> None:
    file = SocketFile(path, mode=0o660)
    with file.socket, pytest.raises(ConfigError, match="another gateway listens"):
        SocketFile(path, mode=0o660)


def test_a_file_that_is_no_socket_is_left_alone(path: Path) -> None:
    path.write_text("a report")
    with pytest.raises(ConfigError, match="is no socket"):
        SocketFile(path, mode=0o660)
    assert path.read_text() == "a report"


def test_a_path_that_does_not_fit_is_refused_with_its_limit(path: Path) -> None:
    with pytest.raises(ConfigError, match="longer than 103 bytes"):
        SocketFile(path.with_name("s" * 120), mode=0o660)


def test_a_missing_folder_is_a_mistake_in_the_configuration(path: Path) -> None:
    with pytest.raises(ConfigError, match="No such file"):
        SocketFile(path.parent / "none" / "api.sock", mode=0o660)


def test_the_file_of_a_successor_is_not_removed(path: Path) -> None:
    first = SocketFile(path, mode=0o660)
    first.socket.close()
    second = SocketFile(path, mode=0o660)
    first.remove()
    assert path.exists()
    second.socket.close()
