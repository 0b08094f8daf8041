"""The file of a Unix socket: made safely, replaced when stale, never taken from a living server.

The socket is bound under a second name, given its mode, set to listen, and only then renamed to
its path: nobody ever finds it with a wrong mode or without a listener, and a stale file is
replaced in one step.
"""

import socket
import stat
from pathlib import Path

from gateway.core.errors import ConfigError

PATH_BYTES_MAX = 107
"""Linux: `sun_path` has 108 bytes, one of them for the closing zero."""
BACKLOG = 32
_BINDING = ".new"


class SocketFile:
    """A listening Unix socket and its file."""

    def __init__(self, path: Path, *, mode: int) -> None:
        """Listen at a path.

        Raises:
            ConfigError: the path is too long, its folder cannot be written, something else is
                there, or another gateway listens on it.
        """
        check_length(path)
        _check_free(path)
        self.path = path
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        binding = path.with_name(path.name + _BINDING)
        try:
            binding.unlink(missing_ok=True)
            self.socket.bind(str(binding))
            binding.chmod(mode)
            self.socket.listen(BACKLOG)
            self._inode = binding.stat().st_ino
            binding.rename(path)
        except OSError as error:
            self.socket.close()
            raise ConfigError(f"api.socket: {path} cannot be made: {error.strerror}") from error

    def remove(self) -> None:
        """Remove the file, unless another gateway has put its own in its place meanwhile."""
        try:
            if self.path.stat().st_ino == self._inode:
                self.path.unlink()
        except FileNotFoundError:
            return


def check_length(path: Path) -> None:
    """Check that the path fits into a socket address.

    Raises:
        ConfigError: it does not.
    """
    size = len(str(path).encode()) + len(_BINDING)
    if size > PATH_BYTES_MAX:
        limit = PATH_BYTES_MAX - len(_BINDING)
        raise ConfigError(f"api.socket: {path} is longer than {limit} bytes; choose a shorter path")


def _check_free(path: Path) -> None:
    if not path.exists():
        return
    if not _is_socket(path):
        raise ConfigError(f"api.socket: {path} is there and is no socket; move it away")
    if _is_answered(path):
        raise ConfigError(f"api.socket: another gateway listens on {path}; stop it first")


def _is_socket(path: Path) -> bool:
    return stat.S_ISSOCK(path.stat().st_mode)


def _is_answered(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(1.0)
        try:
            probe.connect(str(path))
        except (ConnectionRefusedError, FileNotFoundError):
            return False
        except OSError:
            return True
        return True
