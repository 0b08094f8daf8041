"""Values, dead bands, elements and limits against node-opcua, a server written by others."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import numpy as np
import pytest

from connectors.opcua.connector import OpcuaConfig, OpcuaConnector
from gateway.core.arrays import index_column
from gateway.core.quality import Status
from gateway.wire.clock import SystemClock
from tests.connectors.sessions import in_session
from tests.connectors.sinks import KeepingSink
from tests.connectors.wire import until
from tests.interop.peers import needs_node, node_script, running_peer

pytestmark = needs_node
ENDS_S = 50
MODE_CHANGES = 500
"""The server's text changes whenever `Second` is a multiple of it."""
NODE_LIST = """\
tag,node,element,dead_band,low,high
Analog,ns=1;s=Analog,,5%,,
Plain,ns=1;s=Plain,,5%,0,400
Second,ns=1;s=Array,1,,,
Tenth,ns=1;s=Array,9,,,
Whole,ns=1;s=Array,,,,
Mode,ns=1;s=Mode,,,,
Changed,ns=1;s=Changed,,,,
Structure,ns=1;s=Structure,,,,
Old,ns=1;s=Old,,,,
Nothing,ns=1;s=Nothing,,,,
"""
POLL: dict[str, object] = {"read": "poll", "period_ms": 50}
SUBSCRIBE: dict[str, object] = {"sampling_ms": 20, "publishing_ms": 60}


@asynccontextmanager
async def reading(
    folder: Path, node_list: str, settings: dict[str, object], *arguments: str
) -> AsyncIterator[tuple[OpcuaConnector, KeepingSink, Callable[[str], list[float]]]]:
    """Run node-opcua's server and a session with it; gives also the values of a tag so far."""
    async with running_peer(node_script("opcua_values.js", str(ENDS_S), *arguments)) as [port]:
        (folder / "plant.csv").write_text(node_list, encoding="utf-8")
        given = {
            "type": "opcua",
            "endpoint": f"opc.tcp://127.0.0.1:{port}",
            "security": "None",
            "tags": "plant.csv",
            "timeout_s": 20,
        }
        connector = OpcuaConnector(
            "plant",
            OpcuaConfig.model_validate(given | settings),
            folder=folder,
            state_folder=folder / "state",
            clock=SystemClock(),
        )
        names = [tag.id.removeprefix("plant.") for tag in connector.tags]
        sink = KeepingSink()
        async with in_session(connector, sink, index_column(range(len(names)))):
            yield connector, sink, lambda name: sink.values_of(names.index(name))


@pytest.mark.parametrize("settings", [SUBSCRIBE, POLL], ids=["subscribe", "poll"])
async def test_values_of_every_kind(tmp_path: Path, settings: dict[str, object]) -> None:
    """Numbers, elements and dates are samples; texts are events; the rest is Bad and told once."""
    async with reading(tmp_path, NODE_LIST, settings) as (connector, sink, values_of):
        await until(
            lambda: (
                len(second := values_of("Second")) > 20
                and second[-1] - second[0] > MODE_CHANGES + 200
            ),
            what="values, and another text",
        )
    second = np.array(values_of("Second"))
    assert (second % 10 == 0).all()
    assert (np.diff(second) > 0).all()
    assert set(values_of("Changed")) == {1_772_600_767.5}
    assert values_of("Mode") == []
    texts = [event.text for event in sink.events if event.condition == "text_changed"]
    # The second one is held back, and told at the end of the session.
    assert texts[1].partition(" (and ")[0] in (
        "plant.Mode is 'auto'; it was 'manual'",
        "plant.Mode is 'manual'; it was 'auto'",
    )
    for name in ("Whole", "Structure"):
        assert np.isnan(values_of(name)).all()
        assert len(values_of(name)) <= 2
    told = {(event.source, event.condition) for event in sink.events}
    assert told == {
        ("plant.Whole", "value_unfit"),
        ("plant.Structure", "value_unfit"),
        ("plant.Tenth", "element_missing"),
        ("plant", "text_changed"),
        ("plant", "source_time_wrong"),
    }
    statuses = statuses_of(connector, sink)
    assert statuses["Old"] == {Status.UNCERTAIN_CONFIGURATION_ERROR}
    assert statuses["Tenth"] == {0x8037_0000}
    assert statuses["Nothing"] == {Status.BAD_NODE_ID_UNKNOWN}
    for name in ("Analog", "Plain", "Second", "Changed"):
        assert statuses[name] == {Status.GOOD}


def statuses_of(connector: OpcuaConnector, sink: KeepingSink) -> dict[str, set[int]]:
    """Return the status codes that each tag had."""
    return {
        tag.id.removeprefix("plant."): {
            int(status)
            for frame in sink.frames
            for status in frame.status[frame.tag_index == index]
        }
        for index, tag in enumerate(connector.tags)
    }


async def test_dead_bands_in_percent(tmp_path: Path) -> None:
    """5 % of 0 to 200 are 10; a node without EURange gets 5 % of the list's 0 to 400, absolute."""
    async with reading(tmp_path, NODE_LIST, SUBSCRIBE) as (_, _, values_of):
        await until(
            lambda: len(values_of("Analog")) > 6 and len(values_of("Plain")) > 4, what="changes"
        )
    assert np.abs(np.diff(values_of("Analog"))).min() > 10
    assert np.abs(np.diff(values_of("Plain"))).min() > 20
    assert np.abs(np.diff(values_of("Analog"))).min() < 20


async def test_what_finds_no_monitored_item_is_polled(tmp_path: Path) -> None:
    """The server has room for 30; the fast group is watched, the rest is polled, told once."""
    lines = ["tag,node,group", "Second,ns=1;s=Plain,fast"]
    lines += [f"N{number},ns=1;s=N{number}," for number in range(50)]
    settings: dict[str, object] = {
        **SUBSCRIBE,
        "groups": {"fast": {"sampling_ms": 20, "publishing_ms": 40}},
    }
    async with reading(tmp_path, "\n".join(lines), settings, "30") as (_, sink, values_of):
        await until(
            lambda: all(values_of(f"N{number}") for number in range(50)) and bool(sink.events),
            what="all values",
        )
        await until(lambda: len(values_of("N49")) > 3, what="polls")
    for number in range(50):
        assert set(values_of(f"N{number}")) == {float(number)}
    polled = [number for number in range(50) if len(values_of(f"N{number}")) > 1]
    [event] = sink.events
    assert event.condition == "monitored_items_ran_out"
    assert f"for {len(polled)} of 51 tags" in event.text
    assert 21 <= len(polled) < 50


@pytest.mark.parametrize("settings", [SUBSCRIBE, POLL], ids=["subscribe", "poll"])
async def test_an_array_with_a_rate_is_a_waveform(
    tmp_path: Path, settings: dict[str, object]
) -> None:
    """Whole arrays as samples of one tag whose times rise; read twice, they come once."""
    node_list = "tag,node,rate_hz\nWave,ns=1;s=Array,1000\nPlain,ns=1;s=Plain,\n"
    async with reading(tmp_path, node_list, settings) as (_, sink, values_of):
        await until(lambda: len(values_of("Wave")) > 60, what="twenty waveforms")
    parts = [frame.where(frame.tag_index == 0) for frame in sink.frames]
    value = np.concatenate([part.value for part in parts]).reshape(-1, 3)
    time_ns = np.concatenate([part.time_ns for part in parts]).reshape(-1, 3)
    np.testing.assert_array_equal(value, np.outer(value[:, 0], [1.0, 10.0, 100.0]))
    assert (np.diff(time_ns) == 1_000_000).all()
    assert (np.diff(time_ns.ravel()) > 0).all()
    assert values_of("Plain")
