"""A network of our own for a test: a namespace behind a virtual cable that can be cut.

with namespace() as far:
    async with running_peer(far.command("./server", far.address)) as words: ...
    far.unplug()       # as if the cable were pulled
    far.swallow()      # packets leave, and none arrives: nobody is told
    far.mend()         # both are over
"""

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count

import pytest

NOWHERE = "02:00:00:00:00:01"
"""Hardware address that nobody has."""

needs_namespaces = pytest.mark.skipif(
    os.geteuid() != 0 or shutil.which("ip") is None,
    reason="network namespaces need root and the ip command",
)

_numbers = count()


class Namespace:
    """A namespace with one cable to ours; `own_address` and `address` are its two ends."""

    def __init__(self, name: str, number: int) -> None:
        self.name = name
        self._near = f"{name}n"
        self._far = f"{name}f"
        # 10.203.0.0/16 in networks of four addresses, of which the middle two are for hosts.
        third, fourth = divmod(4 * (number % 16_384), 256)
        self.own_address = f"10.203.{third}.{fourth + 1}"
        self.address = f"10.203.{third}.{fourth + 2}"

    def command(self, *words: str) -> list[str]:
        """Return the command that runs these words inside."""
        return ["ip", "netns", "exec", self.name, *words]

    def make(self) -> None:
        """Make it, and the cable."""
        _ip("netns", "add", self.name)
        _ip("link", "add", self._near, "type", "veth", "peer", "name", self._far)
        _ip("link", "set", self._far, "netns", self.name)
        _ip("addr", "add", f"{self.own_address}/30", "dev", self._near)
        _ip("link", "set", self._near, "up")
        self._inside("addr", "add", f"{self.address}/30", "dev", self._far)
        self._inside("link", "set", "lo", "up")
        self._inside("link", "set", self._far, "up")

    def remove(self) -> None:
        """Remove both; what was not made is no mistake."""
        for words in (("link", "del", self._near), ("netns", "del", self.name)):
            subprocess.run(["ip", *words], check=False, capture_output=True)

    def unplug(self) -> None:
        """Take the carrier away."""
        self._inside("link", "set", self._far, "down")

    def swallow(self) -> None:
        """Let every packet vanish in both directions, with the link up."""
        _ip("neigh", "replace", self.address, "lladdr", NOWHERE, "dev", self._near)
        self._inside("neigh", "replace", self.own_address, "lladdr", NOWHERE, "dev", self._far)

    def mend(self) -> None:
        """End every fault."""
        self._inside("link", "set", self._far, "up")
        _ip("neigh", "flush", "dev", self._near, "nud", "permanent")
        self._inside("neigh", "flush", "dev", self._far, "nud", "permanent")

    def _inside(self, *words: str) -> None:
        _ip("-n", self.name, *words)


@contextmanager
def namespace() -> Iterator[Namespace]:
    """Make a namespace, and remove it whatever happens."""
    number = os.getpid() * 7 + next(_numbers)
    # Names of interfaces have at most 15 characters.
    made = Namespace(f"ew{number % 10**10}", number)
    try:
        made.make()
        yield made
    finally:
        made.remove()


def _ip(*words: str) -> None:
    answer = subprocess.run(["ip", *words], check=False, capture_output=True, text=True)
    assert answer.returncode == 0, f"ip {' '.join(words)}: {answer.stderr}"
