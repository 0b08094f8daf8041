"""What machines and servers get wrong stays theirs: the whole service, real protocols."""

import getpass
from pathlib import Path

import pytest

from gateway.core.device_status import DeviceState
from gateway.core.errors import CommandError
from gateway.core.quality import Status
from tests.gateway.service_run import (
    HEAD,
    alarm_table,
    client_of,
    compressor_table,
    events_in,
    running,
    tags_of,
    written,
)
from tests.gateway.simulate_peers import modbus_server, opcua_server
from tests.gateway.store_cases import until

REGISTERS = """\
tag,address,type,unit
Flow,2,float32,m3/h
NoNumber,4,float32,
NotThere,9000,float32,
"""
NODES = """\
tag,node,unit
Flow,ns=2;s=P101.Flow,m3/h
Text,ns=0;i=2261,
NotThere,ns=2;s=P101.Nothing,
"""


def pumps_table(endpoint: str, *, name: str, security: str = "None") -> str:
    return f"""
[connectors.{name}]
type = "opcua"
endpoint = "{endpoint}"
security = "{security}"
tags = "pumps.csv"
sampling_ms = 50
publishing_ms = 50
"""


async def test_bad_values_spoil_only_their_own_tags(tmp_path: Path) -> None:
    """An unknown node, an exception and NaN, beside two values that are all right; text is none.

    And a server whose certificate nobody trusts is one lost device among others.
    """
    (tmp_path / "opcua").mkdir()
    async with opcua_server(tmp_path / "opcua") as pumps, modbus_server(tmp_path) as compressor:
        await compressor.show([0.0, 12.5, float("nan"), *[0.0] * 6, 0.0], 0)
        config = written(
            tmp_path,
            HEAD
            + compressor_table(compressor.endpoint)
            + pumps_table(pumps.endpoint, name="pumps")
            + pumps_table(pumps.endpoint, name="vault", security="Basic256Sha256")
            + alarm_table(),
            k01=REGISTERS,
            pumps=NODES,
        )
        async with running(config, tmp_path) as gateway:
            states = {each.connector.name: each for each in gateway.supervisors}
            await until(lambda: states["vault"].status().state == "lost")
            await until(lambda: states["pumps"].status().sample_count >= 1)
            await until(lambda: states["compressor"].status().frame_count >= 5)
            before = states["compressor"].status().frame_count
            await compressor.show([0.0, 140.0, float("nan"), *[0.0] * 6, 0.0], 0)
            await until(lambda: bool(gateway.parts.board.alarms()))
            await until(lambda: states["compressor"].status().frame_count >= before + 5)
            tags = await tags_of(tmp_path)
            async with client_of(tmp_path) as client:
                devices = {each.name: each for each in (await client.devices()).devices}
        bad = {name: tag.status for name, tag in tags.items() if tag.quality == "bad"}
        assert {name: bad[name] for name in bad if not name.startswith(("K-01", "vault"))} == {
            "compressor.NoNumber": Status.BAD_OUT_OF_RANGE,
            "compressor.NotThere": Status.BAD_NODE_ID_UNKNOWN,
            "pumps.Text": Status.BAD_WAITING_FOR_INITIAL_DATA,
            "pumps.NotThere": Status.BAD_NODE_ID_UNKNOWN,
        }
        assert tags["compressor.Flow"].value == 140.0
        assert tags["pumps.Flow"].value == 2000.0
        assert "certificate" in devices["vault"].reason
        assert {name for name, each in devices.items() if each.state == "ok"} == {
            "pumps",
            "compressor",
        }
    events = events_in(gateway.store.path)
    assert [each.source for each in events if each.condition == "device_lost"] == ["vault"]
    assert [each.source for each in events if each.condition == "flow_high"] == ["K-01"]
    assert gateway.pipeline.quarantined_frames == 0


async def test_a_server_is_connected_to_once_a_person_trusts_it(tmp_path: Path) -> None:
    """Its certificate goes from the refused ones to the trusted ones; the event names who did."""
    (tmp_path / "opcua").mkdir()
    async with opcua_server(tmp_path / "opcua") as pumps:
        table = pumps_table(pumps.endpoint, name="vault", security="Basic256Sha256")
        config = written(tmp_path, HEAD + table, pumps=NODES)
        async with running(config, tmp_path) as gateway, client_of(tmp_path) as client:
            devices = gateway.view.devices
            await until(lambda: bool(devices()[0].report.untrusted_certificate))
            [device] = (await client.devices()).devices
            with pytest.raises(CommandError, match="no rejected certificate"):
                await gateway.view.trust("vault", "0" * 64, operator="ada")
            told = await client.trust("vault", device.untrusted_certificate)
            assert (told.condition, told.operator) == ("certificate_trusted", getpass.getuser())
            await until(lambda: devices()[0].state is DeviceState.OK)
            assert devices()[0].report.untrusted_certificate == ""
    assert told.id in {event.id for event in events_in(tmp_path / "state" / "log.db")}
