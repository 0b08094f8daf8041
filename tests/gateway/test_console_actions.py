"""What a person does in the console, and what the gateway makes of it."""

import getpass
from dataclasses import replace

import pytest

from gateway.api.alarms import alarm_answer
from gateway.console.cells import alarm_mark, alarm_severity, alarm_state
from gateway.console.palette import MUTED
from gateway.core.alarms import Alarm, AlarmState
from gateway.core.models import ModelStage
from tests.gateway.fake_situation import (
    LOG_OF_THE_PLANT,
    VAULT_SHA256,
    alarms_of_the_plant,
    vault_of_the_plant,
)
from tests.gateway.fake_view import FakeView
from tests.pictures.screen import console_of


async def test_an_alarm_is_acknowledged_with_one_key() -> None:
    view = FakeView()
    async with console_of(view) as console:
        await console.press("3")
        await console.shows("3 Alarms 1!")
        await console.press("a")
        await console.shows("P-101/filter_clogged acknowledged")
        await console.shows(lambda text: "3 Alarms 1!" not in text)
    assert view.alarm_list[0].state is AlarmState.ACKNOWLEDGED
    assert view.news.events(1)[0].operator == getpass.getuser()


async def test_a_second_acknowledgement_is_refused_and_said() -> None:
    async with console_of(FakeView()) as console:
        await console.press("3")
        await console.shows("filter clogged")
        await console.press("down", "a")
        await console.shows("nothing to")


async def test_an_alarm_is_shelved_for_the_time_that_was_typed() -> None:
    view = FakeView()
    async with console_of(view) as console:
        await console.press("3")
        await console.shows("filter clogged")
        await console.press("s")
        await console.shows("For how long?")
        await console.press("end", *["backspace"] * 3, *"soon", "enter")
        await console.shows("That is not a number")
        await console.press(*["backspace"] * 4, *"90min", "enter")
        await console.shows("shelved for 90 min")
    assert view.alarm_list[0].shelved_until_ns == view.clock_ns + 90 * 60 * 10**9


async def test_a_model_is_promoted_only_by_typing_its_version() -> None:
    view = FakeView()
    async with console_of(view) as console:
        await console.press("6")
        await console.shows("pump-anomaly")
        await console.press("down", "p")
        await console.shows("Type the version, 1.5")
        await console.press(*"1.4", "enter")
        await console.shows("That is not the version.")
        assert stage_of(view, 1) is ModelStage.SHADOW
        await console.press(*["backspace"] * 3, *"1.5", "enter")
        await console.shows("pump-anomaly 1.5 is in force")
    assert stage_of(view, 1) is ModelStage.ACTIVE
    assert view.model_list[1].reason == f"promoted by {getpass.getuser()}"


async def test_leaving_a_question_does_nothing() -> None:
    view = FakeView()
    async with console_of(view) as console:
        await console.press("6")
        await console.shows("pump-anomaly")
        await console.press("down", "r")
        await console.shows("Roll back pump-anomaly 1.4")
        await console.press("escape")
        await console.shows(lambda text: "Type the version" not in text)
    assert stage_of(view, 2) is ModelStage.ACTIVE


async def test_a_model_without_a_candidate_cannot_be_promoted() -> None:
    async with console_of(FakeView()) as console:
        await console.press("6")
        await console.shows("compressor-anomaly")
        await console.press("p")
        await console.shows("no version that is shadow")


async def test_finding_an_asset_opens_it() -> None:
    async with console_of(FakeView()) as console:
        await console.press("slash", *"k-0")
        await console.shows("1 asset, ")
        await console.press("enter")
        await console.shows("oil temperature")
        assert console.app.view == "asset"
        await console.press("1")
        await console.shows("K-01 · why 82 %")


async def test_finding_a_tag_draws_it() -> None:
    async with console_of(FakeView()) as console:
        await console.press("slash", *"filterdp")
        await console.shows("0 assets, 2 tags")
        await console.press("down", "enter")
        await console.shows("pumps.P101.FilterDp")
        await console.shows("24 samples over 23 s")


async def test_the_cursor_stays_on_its_asset_when_the_order_changes() -> None:
    """Trouble sorts to the top; what a person is reading does not run away."""
    view = FakeView()
    async with console_of(view) as console:
        await console.shows("P-101 · why 51 %")
        await console.press("down")
        await console.shows("K-01 · why 82 %")
        view.plant = view.plant[:2]
        await console.shows(lambda text: "P-101" not in text)
        assert "K-01 · why 82 %" in console.text()


def stage_of(view: FakeView, index: int) -> ModelStage:
    return view.model_list[index].stage


async def test_a_certificate_is_trusted_only_by_typing_its_digits() -> None:
    view = FakeView(more_devices=(vault_of_the_plant(),))
    async with console_of(view) as console:
        await console.press("4", "t")
        await console.shows("station waits for no certificate")
        await console.press("down")
        await console.shows("3f9a 51c0 7be4 d216")
        await console.press("t")
        await console.shows("the first 4 digits")
        await console.press(*"3f9", "enter")
        await console.shows("That is not the beginning of it")
        assert view.trusted == []
        await console.press(*"a 51C0", "enter")
        await console.shows("vault is trusted")
    assert view.trusted == [VAULT_SHA256]
    assert view.news.events(1)[0].operator == getpass.getuser()


async def test_a_configuration_on_trial_is_said_on_every_view() -> None:
    view = FakeView()
    async with console_of(view) as console:
        await console.shows("buffer 31 d")
        assert "on trial" not in console.text()
        view.configuration_status = replace(view.configuration_status, is_on_trial=True)
        await console.shows("configuration on trial")


async def test_a_test_read_follows_the_values_and_draws_one() -> None:
    view = FakeView()
    async with console_of(view) as console:
        await console.press("4", "down", "enter")
        await console.shows("test read · pumps")
        await console.shows("P101.AmbientTemperature")
        await console.shows("sensor failure  status 0x808c0000")
        await console.shows("18 Good · 1 Bad · 0 without a value · 1 stale")
        view.status[:] = 0
        await console.shows("19 Good · 0 Bad")
        # The cursor has stayed on the sensor that failed, wherever it is in the list now.
        await console.press("t")
        await console.shows("no value yet")
        await console.press("escape", "escape")
        await console.shows(lambda text: "test read ·" not in text)


async def test_the_view_of_deliveries_tells_that_times_are_in_doubt() -> None:
    doubtful = replace(LOG_OF_THE_PLANT, doubt="the clock shows 1970")
    async with console_of(FakeView(log_status=doubtful)) as console:
        await console.press("5")
        await console.shows("Times are in doubt: the clock shows 1970")


async def test_an_alarm_is_taken_out_of_service_with_a_reason_and_put_back() -> None:
    view = FakeView()
    async with console_of(view) as console:
        await console.press("3")
        await console.shows("filter clogged")
        await console.press("o")
        await console.shows("Why?")
        await console.press("enter")
        await console.shows("That is not a reason")
        await console.press(*"repair", "enter")
        await console.shows("P-101/filter_clogged out of service")
        assert [alarm.state for alarm in view.alarm_list[:1]] == [AlarmState.OUT_OF_SERVICE]
        await console.shows("repair")
        await console.press("o")
        await console.shows("in service again")
    assert view.alarm_list[0].state is AlarmState.UNACKNOWLEDGED


async def test_a_shelved_alarm_is_unshelved_with_the_same_key() -> None:
    view = FakeView()
    async with console_of(view) as console:
        await console.press("3")
        await console.shows("bearing temperature high")
        await console.press("down", "down", "s")
        await console.shows("P-102/bearing_temperature_high no longer shelved")
    assert view.alarm_list[2].state is AlarmState.UNACKNOWLEDGED


async def test_a_latched_alarm_is_reset() -> None:
    view = FakeView()
    view.alarm_list[0] = replace(view.alarm_list[0], state=AlarmState.LATCHED_ACKNOWLEDGED)
    async with console_of(view) as console:
        await console.press("3")
        await console.shows("◇")
        await console.press("r")
        await console.shows("P-101/filter_clogged reset")
    assert view.alarm_list[0].state is AlarmState.NORMAL


CLOGGED = next(iter(alarms_of_the_plant()))


@pytest.mark.parametrize(
    "alarm",
    [
        replace(CLOGGED, is_quiet=True),
        replace(CLOGGED, state=AlarmState.SUPPRESSED, silenced_reason="stopped"),
        replace(CLOGGED, state=AlarmState.OUT_OF_SERVICE),
    ],
    ids=["in a flood", "suppressed", "out of service"],
)
def test_what_is_silent_has_no_colour(alarm: Alarm) -> None:
    """Severe and active, and yet the eye goes to the others first."""
    answer = alarm_answer(alarm)
    assert answer.is_active
    for cell in (alarm_mark(answer), alarm_severity(answer), alarm_state(answer)):
        assert cell.style == MUTED
