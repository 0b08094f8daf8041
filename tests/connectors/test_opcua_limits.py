"""What a server says of itself, and what is known of its make."""

import pytest

from connectors.opcua_limits import (
    TRAITS,
    Profile,
    ServerFacts,
    Traits,
    profile_of,
    traits_of,
)


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
