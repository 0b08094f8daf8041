"""The API over a real Unix socket: what it answers, who it thinks is asking, how it refuses."""

import getpass
import stat

import aiohttp
import pytest

from gateway.api.client import GatewayClient
from gateway.api.errors import RefusedError
from gateway.api.requests import CommandRequest, TagsRequest
from gateway.core.log_status import LogStatus
from tests.gateway.fake_situation import VAULT_SHA256, vault_of_the_plant
from tests.gateway.fake_view import FakeView
from tests.gateway.serving import client_of


async def test_status_counts_what_asks_for_a_person() -> None:
    async with client_of(FakeView()) as client:
        status = await client.status()
    assert (status.gateway, status.site) == ("pumphouse-1", "acme/ulm/utilities/pumphouse")
    assert (status.alarms.unacknowledged, status.alarms.acknowledged, status.alarms.shelved) == (
        1,
        1,
        1,
    )
    assert status.books.lost == 0
    assert status.log.buffer_s == 31 * 86_400.0


async def test_an_asset_shows_its_reasons_and_its_own_events_only() -> None:
    async with client_of(FakeView()) as client:
        detail = await client.asset("P-101")
    shares = {signal.name: signal.share for signal in detail.signals}
    assert shares["filter_dp_bar"] == 0.51
    assert {event.source for event in detail.events} == {"P-101"}
    assert detail.summary.bad_count == 2, "one sensor is Bad, one is silent"


async def test_bad_is_null_and_stale_is_said() -> None:
    async with client_of(FakeView()) as client:
        signals = {s.name: s for s in (await client.asset("P-101")).signals}
    ambient, vibration = signals["ambient_temperature_degc"], signals["vibration_mm_s"]
    assert (ambient.value, ambient.quality, ambient.trend[-1]) == (None, "bad", None)
    assert (vibration.quality, vibration.is_stale) == ("good", True)


async def test_a_device_says_how_it_is_read() -> None:
    async with client_of(FakeView(more_devices=(vault_of_the_plant(),))) as client:
        devices = {device.name: device for device in (await client.devices()).devices}
    compressor = devices["compressor"]
    assert (compressor.requests_per_s, compressor.busy_share) == (4.0, 0.12)
    [point] = compressor.set_aside
    assert (point.address, point.tag) == ("holding 120", "compressor.PressureSetpoint")
    assert devices["vault"].untrusted_certificate == VAULT_SHA256
    assert devices["station"].busy_share is None
    assert devices["pumps"].certificate_expires is not None


async def test_the_tags_of_a_device_come_trouble_first_and_are_counted_once() -> None:
    async with client_of(FakeView()) as client:
        page = await client.device_tags("pumps", limit=3)
        with pytest.raises(RefusedError, match="no device 'pump'"):
            await client.device_tags("pump", limit=3)
    assert [tag.tag for tag in page.tags][:2] == [
        "pumps.P101.AmbientTemperature",
        "pumps.P101.Vibration",
    ]
    assert len(page.tags) == 3
    counts = (page.bad_count, page.waiting_count, page.stale_count, page.uncertain_count)
    assert (page.good_count, *counts) == (18, 1, 0, 1, 0)


async def test_only_the_certificate_that_was_seen_is_trusted() -> None:
    view = FakeView(more_devices=(vault_of_the_plant(),))
    async with client_of(view) as client:
        with pytest.raises(RefusedError, match="shows no such certificate"):
            await client.trust("vault", "0" * 64)
        with pytest.raises(RefusedError, match="shows no such certificate"):
            await client.trust("pumps", VAULT_SHA256)
        event = await client.trust("vault", VAULT_SHA256)
    assert view.trusted == [VAULT_SHA256]
    assert event.operator == getpass.getuser()


async def test_tags_come_in_pages() -> None:
    async with client_of(FakeView(extra_tags=250)) as client:
        page = await client.tags(TagsRequest(prefix="hall.", offset=240, limit=20))
        found = await client.tags(TagsRequest(find="filterdp"))
    assert page.count == 250
    assert [tag.tag for tag in page.tags] == [f"hall.T{n:05}" for n in range(240, 250)]
    assert [tag.tag for tag in found.tags] == ["pumps.P102.FilterDp", "pumps.P101.FilterDp"]


async def test_a_trend_is_in_order_and_ends_at_the_last_value() -> None:
    view = FakeView()
    async with client_of(view) as client:
        trend = await client.trend("pumps.P101.Flow")
    times = [point.time for point in trend.points]
    assert times == sorted(times)
    assert len(times) == 24
    assert trend.unit == "m3/h"


async def test_acknowledging_carries_the_name_of_the_system_user() -> None:
    """The name comes from the kernel, so nobody can act as someone else."""
    async with client_of(FakeView()) as client:
        event = await client.acknowledge("P-101/filter_clogged")
        alarms = {alarm.id: alarm for alarm in (await client.alarms()).alarms}
    assert (event.operator, event.transition) == (getpass.getuser(), "acknowledged")
    assert alarms["P-101/filter_clogged"].state == "acknowledged"


async def test_shelving_lasts_as_long_as_asked() -> None:
    view = FakeView()
    async with client_of(view) as client:
        await client.shelve("P-101/filter_clogged", for_s=3600.0)
    assert view.alarm_list[0].shelved_until_ns == view.clock_ns + 3600 * 10**9


async def test_an_alarm_that_is_not_there_is_not_found() -> None:
    """Whatever is wanted of it, it is no refusal by its state."""
    async with client_of(FakeView()) as client:
        for wish in (
            client.acknowledge("P-9/none"),
            client.reset("P-9/none"),
            client.shelve("P-9/none", for_s=60),
            client.unshelve("P-9/none"),
            client.take_out("P-9/none", reason="repair"),
            client.put_back("P-9/none"),
        ):
            with pytest.raises(RefusedError, match="there is no alarm 'P-9/none'"):
                await wish


async def test_a_silence_keeps_who_wanted_it_and_why() -> None:
    view = FakeView()
    async with client_of(view) as client:
        event = await client.take_out("P-101/filter_clogged", reason="new sensor")
        (alarm,) = [a for a in (await client.alarms()).alarms if a.state == "out_of_service"]
        counts = (await client.status()).alarms
    assert (event.transition, event.reason) == ("out_of_service", "new sensor")
    assert (alarm.silenced_by, alarm.silenced_reason) == (getpass.getuser(), "new sensor")
    assert (counts.unacknowledged, counts.out_of_service) == (0, 1)


async def test_out_of_service_without_a_reason_is_refused() -> None:
    async with client_of(FakeView()) as client:
        with pytest.raises(RefusedError, match="reason"):
            await client.take_out("P-101/filter_clogged", reason="")


async def test_the_figures_of_the_alarms_stand_beside_their_target() -> None:
    async with client_of(FakeView()) as client:
        metrics = await client.alarm_metrics()
    assert (metrics.last_hour, metrics.target_per_hour) == (12, 6.0)
    assert metrics.is_within_target
    assert metrics.per_day == pytest.approx(412 / 7)
    assert metrics.most_frequent[0].alarm == "K-01/flow_low"


async def test_a_second_acknowledgement_is_refused_with_a_remedy() -> None:
    async with client_of(FakeView()) as client:
        with pytest.raises(RefusedError, match="nothing to acknowledge") as refusal:
            await client.acknowledge("K-01/discharge_temperature_high")
    assert refusal.value.remedy


@pytest.mark.parametrize("for_s", [0.0, -1.0, 8 * 86_400.0])
async def test_shelving_for_ever_is_refused(for_s: float) -> None:
    async with client_of(FakeView()) as client:
        with pytest.raises(RefusedError, match="for_s"):
            await client.shelve("P-101/filter_clogged", for_s=for_s)


async def test_promotion_names_the_version_it_means() -> None:
    """A version that came or went since the person looked is not acted upon."""
    async with client_of(FakeView()) as client:
        with pytest.raises(RefusedError, match=r"shadow is: 1\.5"):
            await client.promote("pump-anomaly", "1.6")
        models = await client.promote("pump-anomaly", "1.5")
        stages = {m.version: m.stage for m in models.models if m.name == "pump-anomaly"}
        assert (stages["1.5"], stages["1.4"]) == ("active", "retired")
        models = await client.roll_back("pump-anomaly", "1.5")
    stages = {m.version: m.stage for m in models.models if m.name == "pump-anomaly"}
    assert (stages["1.5"], stages["1.4"]) == ("rolled_back", "active")


async def test_a_command_says_who_and_when_and_gives_the_read_back() -> None:
    view = FakeView()
    async with client_of(view) as client:
        answer = await client.submit(
            CommandRequest(tag="compressor.PressureSetpoint", value=7.2, within_s=5.0)
        )
    assert (answer.state, answer.read_back) == ("successful", 7.2)
    [command] = view.commands
    assert command.operator == getpass.getuser()
    assert command.deadline_ns == view.clock_ns + 5 * 10**9


async def test_a_command_to_a_read_only_tag_is_refused() -> None:
    async with client_of(FakeView()) as client:
        with pytest.raises(RefusedError, match="not declared writable"):
            await client.submit(CommandRequest(tag="pumps.P101.Flow", value=1.0))


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("GET", "/v1/assets/X-9", None, 404),
        ("GET", "/v1/nothing", None, 404),
        ("DELETE", "/v1/status", None, 405),
        ("GET", "/v1/tags?limit=0", None, 400),
        ("GET", "/v1/tags?colour=red", None, 400),
        ("POST", "/v1/commands", "no JSON", 400),
        ("POST", "/v1/commands", "[]", 400),
        ("POST", "/v1/commands", '{"tag": "compressor.PressureSetpoint", "value": "NaN"}', 400),
        ("POST", "/v1/alarms/none%2Fsuch/acknowledge", None, 404),
        ("POST", "/v1/models/none/promote", '{"version": "1.0"}', 404),
    ],
)
async def test_every_refusal_says_error_and_remedy(
    method: str, path: str, body: str | None, status: int
) -> None:
    async with (
        client_of(FakeView()) as client,
        raw_session(client) as session,
        session.request(method, path, data=body) as response,
    ):
        answer = await response.json()
    assert response.status == status
    assert answer["error"]
    assert answer["remedy"]


async def test_health_turns_bad_with_the_log() -> None:
    view = FakeView()
    async with client_of(view) as client, raw_session(client) as session:
        async with session.get("/healthz") as response:
            assert response.status == 200
        view.log_status = LogStatus(
            size_bytes=1, size_bytes_max=1, bytes_per_day=0, buffer_s=None, fault="disk is full"
        )
        async with session.get("/healthz") as response:
            assert response.status == 503
            assert (await response.json())["reasons"] == ["disk is full"]


async def test_the_socket_is_for_owner_and_group() -> None:
    async with client_of(FakeView()) as client:
        assert stat.S_IMODE(client.socket.stat().st_mode) == 0o660
    assert not client.socket.exists()


def raw_session(client: GatewayClient) -> aiohttp.ClientSession:
    return aiohttp.ClientSession(
        base_url="http://gateway", connector=aiohttp.UnixConnector(path=str(client.socket))
    )
