"""What a server says of itself, and what is known of its make."""

from datetime import UTC, datetime
from pathlib import Path

import pytest
from asyncua import ua

from connectors.opcua.limits import (
    TRAITS,
    Profile,
    ServerFacts,
    Traits,
    profile_of,
    traits_of,
)
from tests.connectors.contract import running
from tests.connectors.opcua_plant import OpcuaPlant
from tests.connectors.sinks import KeepingSink
from tests.connectors.wire import Wire, until


def test_every_profile_has_its_line() -> None:
    assert set(TRAITS) == set(Profile) - {Profile.AUTO}


@pytest.mark.parametrize(
    ("manufacturer", "product", "expected"),
    [
        ("Siemens AG", "SIMATIC S7-1200 OPC UA Server", Profile.S7_1200),
        ("Siemens AG", "SIMATIC.S7-1500.OPC-UA.Application", Profile.S7_1500),
        ("Kepware", "KEPServerEX", Profile.KEPWARE),
        ("Inductive Automation", "Ignition OPC UA Server", Profile.IGNITION),
        ("Prosys OPC Ltd.", "SimulationServer", Profile.PROSYS),
        ("", "", Profile.GENERIC),
        ("Acme", "Universal Server 1200", Profile.GENERIC),
    ],
)
def test_a_server_is_known_by_its_names(manufacturer: str, product: str, expected: Profile) -> None:
    facts = ServerFacts(manufacturer=manufacturer, product=product)
    assert profile_of(facts) is expected
    assert traits_of(Profile.AUTO, facts) == TRAITS[expected]


def test_a_profile_that_is_written_wins_over_the_names() -> None:
    facts = ServerFacts(manufacturer="Siemens AG", product="S7-1200")
    assert traits_of(Profile.GENERIC, facts) == Traits()


def test_the_lower_limit_counts() -> None:
    """Of what the server says and what is known; 0 says nothing."""
    facts = ServerFacts(
        items_per_call=1000,
        nodes_per_read=50,
        items=0,
        items_per_subscription=300,
        subscriptions=2,
        sampling_ms_min=100.0,
    )
    traits = traits_of(Profile.S7_1200, facts)
    assert traits == Traits(
        items_per_call=100,
        items_max=1000,
        items_per_subscription=300,
        subscriptions_max=2,
        nodes_per_read=50,
        takes_filters=False,
        sampling_ms_min=100.0,
    )


@pytest.mark.parametrize("said", [float("nan"), float("inf"), None])
def test_an_interval_that_is_none_says_nothing(said: float | None) -> None:
    assert traits_of(Profile.GENERIC, ServerFacts(sampling_ms_min=said)).sampling_ms_min == 0.0


@pytest.mark.parametrize("profile", ["auto", "generic"])
async def test_a_small_controller_is_spared(tmp_path: Path, profile: str) -> None:
    """It is known by its name: short calls, and no filters, although a dead band is wanted."""
    count = 130
    async with Wire() as wire:
        plant = OpcuaPlant(tmp_path, wire)
        await plant.start_server()
        assert plant.server is not None
        date = datetime(2026, 1, 1, tzinfo=UTC)
        await plant.server.set_build_info("urn:s7", "Siemens AG", "SIMATIC S7-1200", "4", "1", date)
        lines = ["tag,node,dead_band"]
        for number in range(count):
            node_id = ua.NodeId.from_string(f"ns=2;s=T{number}")
            await plant.server.nodes.objects.add_variable(node_id, f"T{number}", float(number))
            lines.append(f"T{number},ns=2;s=T{number},0.5")
        (tmp_path / "pumps.csv").write_text("\n".join(lines), encoding="utf-8")
        service = plant.server.iserver.subscription_service
        create = service.create_monitored_items
        calls: list[list[ua.MonitoredItemCreateRequest]] = []

        async def create_seen(
            params: ua.CreateMonitoredItemsParameters,
        ) -> list[ua.MonitoredItemCreateResult]:
            calls.append(list(params.ItemsToCreate))
            return await create(params)

        service.create_monitored_items = create_seen  # type: ignore[method-assign]  # foreign
        plant.connector = plant.connector_with(groups={}, profile=profile)
        sink = KeepingSink()
        async with running(plant, sink):
            await until(lambda: sink.sample_count >= count, what="all first values")
        await plant.stop_server()
    bands = {
        getattr(one.RequestedParameters.Filter, "DeadbandValue", None)
        for call in calls
        for one in call
    }
    if profile == "auto":
        assert [len(call) for call in calls] == [100, 30]
        assert bands == {None}
    else:
        assert [len(call) for call in calls] == [count]
        assert bands == {0.5}
