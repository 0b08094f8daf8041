"""OPC UA over a network that fails, and node-opcua's server that ends what it was asked for."""

import asyncio
import os
import subprocess
from collections.abc import Iterator
from contextlib import AsyncExitStack, suppress
from pathlib import Path

import pytest
from asyncua.ua.uaerrors import UaError

from tests.connectors.contract import failure_of
from tests.connectors.sinks import KeepingSink
from tests.connectors.ua_far import PERIOD_MS, Far, far_server
from tests.connectors.ua_series import assert_none_from_before_an_edge, assert_rising, edges_of
from tests.connectors.wire import until
from tests.interop.peers import needs_node, node_script, running_peer

needs_namespaces = pytest.mark.skipif(os.geteuid() != 0, reason="network namespaces need root")


@needs_node
@pytest.mark.slow
async def test_node_opcua_ends_one_subscription_then_all_of_them(tmp_path: Path) -> None:
    """The same session goes on; each loss is one edge of the tags concerned."""
    async with far_server(tmp_path) as far:
        sink = KeepingSink()
        async with far.session(sink):
            for method, tags in (("EndOne", {1}), ("EndAll", {0, 1})):
                before = len(edges_of(sink))
                await until(lambda: len(sink.values_of(0)) > 3, what="values")
                await far.call(method)
                await until(
                    lambda: {t for e in edges_of(sink)[before:] for t in e} == tags,  # noqa: B023
                    what=f"edges after {method}",
                )
                seen = [len(sink.values_of(index)) for index in (0, 1)]
                await until(
                    lambda: all(len(sink.values_of(k)) > seen[k] + 3 for k in (0, 1)),  # noqa: B023
                    what="values again",
                )
                await asyncio.sleep(1.6)  # a subscription that ends twice at once is not made anew
        assert sink.connected_count == 1
        assert sorted(edges_of(sink)) == [[0], [1], [1]]
        for index in (0, 1):
            assert_none_from_before_an_edge(sink, index)


@needs_node
@pytest.mark.slow
async def test_node_opcua_forgets_the_session_then_stops_in_good_order(tmp_path: Path) -> None:
    """Each is a lost session, and the next one goes on with newer values."""
    values: list[float] = [0.0]
    async with far_server(tmp_path) as far:
        for method in ("Forget", "Stop"):
            sink = KeepingSink()
            async with far.session(sink) as task:
                await until(lambda: len(sink.values_of(0)) > 3, what="values")  # noqa: B023
                with suppress(OSError, UaError):  # a server that stops may not answer
                    await far.call(method)
                await failure_of(task)
            assert_rising(sink.values_of(0))
            assert sink.values_of(0)[0] > values[-1]
            assert sink.connected_count == 1
            values = sink.values_of(0)


class Cable:
    """A network namespace at the other end of a virtual cable."""

    def __init__(self) -> None:
        number = os.getpid() % 60_000
        self.name = f"uah{number}"
        self._near, self._far = f"{self.name}n", f"{self.name}f"
        network = f"10.204.{number // 250}.{number % 250 // 4 * 4}".rpartition(".")
        self._own = f"{network[0]}.{int(network[2]) + 1}"
        self.address = f"{network[0]}.{int(network[2]) + 2}"

    def lay(self) -> None:
        _ip("netns", "add", self.name)
        _ip("link", "add", self._near, "type", "veth", "peer", self._far, "netns", self.name)
        _ip("addr", "add", f"{self._own}/30", "dev", self._near)
        _ip("link", "set", self._near, "up")
        self.appear()
        self.plug(is_in=True)

    def remove(self) -> None:
        for words in (("link", "del", self._near), ("netns", "del", self.name)):
            subprocess.run(["ip", *words], check=False, capture_output=True)

    def plug(self, *, is_in: bool) -> None:
        """Plug the far end in or out."""
        _ip("-n", self.name, "link", "set", self._far, "up" if is_in else "down")
        self._forget_neighbours()

    def vanish(self) -> None:
        """Let the far end swallow what is sent to it, with the link up."""
        _ip("-n", self.name, "addr", "del", f"{self.address}/30", "dev", self._far)

    def appear(self) -> None:
        """Let the far end have its address."""
        _ip("-n", self.name, "addr", "add", f"{self.address}/30", "dev", self._far)
        self._forget_neighbours()

    def _forget_neighbours(self) -> None:
        """Let the far end be asked for anew: while it was away, the kernel took it for dead."""
        _ip("neigh", "flush", "dev", self._near)

    def server(self) -> list[str]:
        script = node_script("opcua_faults.js", self.address, "4840", str(PERIOD_MS))
        return ["ip", "netns", "exec", self.name, *script]


def _ip(*words: str) -> None:
    answer = subprocess.run(["ip", *words], check=False, capture_output=True, text=True)
    assert answer.returncode == 0, f"ip {' '.join(words)}: {answer.stderr}"


@pytest.fixture
def cable() -> Iterator[Cable]:
    cable = Cable()
    try:
        cable.lay()
        yield cable
    finally:
        cable.remove()


@needs_node
@needs_namespaces
@pytest.mark.slow
async def test_a_black_hole_and_a_pulled_cable_end_the_session_and_both_come_back(
    tmp_path: Path, cable: Cable
) -> None:
    """Nobody tells us: the silence does, within its limit. Then the values are newer ones."""
    far = Far(tmp_path, f"opc.tcp://{cable.address}:4840")
    values: list[float] = []
    async with running_peer(cable.server()):
        for begin, end in (
            (cable.vanish, cable.appear),
            (lambda: cable.plug(is_in=False), lambda: cable.plug(is_in=True)),
        ):
            sink = KeepingSink()
            async with far.session(sink) as task:
                await until(lambda: len(sink.values_of(0)) > 3, what="values")  # noqa: B023
                begin()
                error = await failure_of(task)
            end()
            await far.reached()
            assert "has said nothing" in str(error) or "cannot be reached" in str(error)
            assert_rising(sink.values_of(0))
            assert not values or sink.values_of(0)[0] > values[-1]
            values = sink.values_of(0)
        sink = KeepingSink()
        async with far.session(sink):
            await until(lambda: len(sink.values_of(0)) > 3, what="values again")
        assert sink.values_of(0)[0] > values[-1]


@needs_node
@needs_namespaces
@pytest.mark.slow
async def test_a_half_open_connection_is_given_up(tmp_path: Path, cable: Cable) -> None:
    """The server is another one when the cable is back, and has never heard of the session."""
    far = Far(tmp_path, f"opc.tcp://{cable.address}:4840")
    sink, again = KeepingSink(), KeepingSink()
    async with AsyncExitStack() as first:
        await first.enter_async_context(running_peer(cable.server()))
        async with far.session(sink) as task:
            await until(lambda: len(sink.values_of(0)) > 3, what="values")
            cable.plug(is_in=False)
            await first.aclose()
            cable.plug(is_in=True)
            async with running_peer(cable.server()):
                await failure_of(task)
                async with far.session(again):
                    await until(lambda: len(again.values_of(0)) > 3, what="the new server's values")
    assert_rising(sink.values_of(0))
    assert_rising(again.values_of(0))
    assert sink.connected_count == again.connected_count == 1
