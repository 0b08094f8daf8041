"""What an OPC UA session survives, and what ends it: every value once, none from before a loss."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from pathlib import Path

import pytest
from asyncua import ua
from asyncua.server.internal_subscription import InternalSubscription
from asyncua.ua.status_codes import StatusCodes

from tests.connectors.contract import failure_of, running
from tests.connectors.opcua_plant import OpcuaPlant
from tests.connectors.sinks import KeepingSink
from tests.connectors.ua_series import assert_none_from_before_an_edge, assert_rising, edges_of
from tests.connectors.wire import Wire, until


@pytest.fixture
async def plant(tmp_path: Path) -> AsyncIterator[OpcuaPlant]:
    """A server with two subscriptions: Vibration alone in the second one."""
    async with Wire() as wire:
        plant = OpcuaPlant(tmp_path, wire)
        await plant.start_server()
        plant.connector = plant.connector_with(timeout_s=10, keep_alive_s=0.4, silence_s_max=2.5)
        yield plant
        await plant.stop_server()


def served(plant: OpcuaPlant, *, group: str) -> InternalSubscription:
    """Return the server's end of a subscription, by the publishing interval of its group."""
    assert plant.server is not None
    interval_ms = {"": 50.0, "fast": 20.0}[group]
    held = plant.server.iserver.subscription_service.subscriptions.values()
    return next(each for each in held if each.data.RevisedPublishingInterval == interval_ms)


async def end_silently(plant: OpcuaPlant) -> None:
    assert plant.server is not None
    number = served(plant, group="fast").data.SubscriptionId
    await plant.server.iserver.subscription_service.delete_subscriptions([number])


async def end_and_say_so(plant: OpcuaPlant) -> None:
    subscription = served(plant, group="fast")
    await subscription.enqueue_statuschange(ua.StatusCode(ua.UInt32(StatusCodes.BadTimeout)))
    await plant.write("Vibration", ua.DataValue(ua.Variant(0.5, ua.VariantType.Double)))
    await until(lambda: not subscription._triggered_statuschanges, what="the server said so")


@pytest.mark.parametrize("end", [end_silently, end_and_say_so])
async def test_a_subscription_that_is_lost_alone_is_made_anew_in_the_same_session(
    plant: OpcuaPlant, end: Callable[[OpcuaPlant], Awaitable[None]]
) -> None:
    """Its tag has one Bad edge; the other subscription goes on without one, nothing is missing."""
    sink = KeepingSink()
    flow, vibration = plant.index("Flow"), plant.index("Vibration")
    async with running(plant, sink):
        await until(lambda: len(sink.values_of(vibration)) > 5, what="values")
        await end(plant)
        await until(lambda: bool(edges_of(sink)), what="the edge")
        count = len(sink.values_of(vibration))
        await until(lambda: len(sink.values_of(vibration)) > count + 5, what="values again")
    assert edges_of(sink) == [[vibration]]
    assert [event.condition for event in sink.events] == ["subscription_lost"]
    assert sink.connected_count == 1
    assert len(plant.wire.downstream) == 1
    assert sink.sample_count == plant.offered_count()
    values = sink.values_of(flow)
    assert values == [values[0] + step for step in range(len(values))]
    if end is end_silently:  # the other one goes on counting in what the test writes itself
        assert_none_from_before_an_edge(sink, vibration)


async def test_a_server_that_keeps_ending_a_subscription_ends_the_session(
    plant: OpcuaPlant,
) -> None:
    """Else the two would play for ever."""
    sink = KeepingSink()
    async with running(plant, sink) as task:
        await until(lambda: bool(sink.received), what="values")
        await end_and_say_so(plant)
        await until(lambda: bool(edges_of(sink)), what="the edge")
        await until(lambda: _has_fast(plant), what="the new subscription")
        await end_and_say_so(plant)
        error = await failure_of(task)
    assert "one subscription after the other" in str(error)


def _has_fast(plant: OpcuaPlant) -> bool:
    with suppress(StopIteration):
        return bool(served(plant, group="fast"))
    return False


def swallow(subscription: InternalSubscription, *, count: int, forget: bool) -> list[int]:
    """Let the server not send its next messages; returns their numbers as they go."""
    send, swallowed = subscription.pub_result_callback, list[int]()

    async def drop(result: ua.PublishResult, request: object) -> None:
        message = result.NotificationMessage
        if len(swallowed) >= count or not message.NotificationData:
            await send(result, request)
            return
        swallowed.append(message.SequenceNumber)
        if forget:
            subscription._not_acknowledged_results.pop(message.SequenceNumber)
        # The publish request stays with the server, for the next message.
        give_back(request)

    give_back = _give_back_to(subscription)
    subscription.pub_result_callback = drop
    return swallowed


def _give_back_to(subscription: InternalSubscription) -> Callable[[object], None]:
    """Return what puts a publish request back into the server's queue."""
    callback = subscription.pub_request_callback
    assert callback is not None
    processor = callback.__self__  # type: ignore[attr-defined]  # it is a bound method
    return_to: Callable[[object], None] = processor._publish_requests.appendleft
    return return_to


@pytest.mark.parametrize("count", [1, 3])
async def test_a_skipped_message_is_asked_for_again_and_takes_its_place(
    plant: OpcuaPlant, count: int
) -> None:
    sink = KeepingSink()
    vibration = plant.index("Vibration")
    async with running(plant, sink):
        await until(lambda: len(sink.values_of(vibration)) > 5, what="values")
        swallowed = swallow(served(plant, group="fast"), count=count, forget=False)
        await until(lambda: len(swallowed) == count, what="swallowed messages")
        seen = len(sink.values_of(vibration))
        await until(lambda: len(sink.values_of(vibration)) > seen + 5 + count, what="values")
    values = sink.values_of(vibration)
    assert values == [values[0] + step for step in range(len(values))]
    assert edges_of(sink) == []
    assert sink.events == []


async def test_a_skipped_message_that_is_gone_makes_the_subscription_anew(
    plant: OpcuaPlant,
) -> None:
    """So the gap has an edge, and is healed where there is a history."""
    sink = KeepingSink()
    vibration = plant.index("Vibration")
    async with running(plant, sink):
        await until(lambda: len(sink.values_of(vibration)) > 5, what="values")
        swallow(served(plant, group="fast"), count=1, forget=True)
        await until(lambda: bool(edges_of(sink)), what="the edge")
        seen = len(sink.values_of(vibration))
        await until(lambda: len(sink.values_of(vibration)) > seen + 5, what="values again")
    assert edges_of(sink) == [[vibration]]
    assert_none_from_before_an_edge(sink, vibration)
    assert sink.sample_count == plant.offered_count()


async def test_a_server_that_numbers_its_messages_otherwise_keeps_its_session(
    plant: OpcuaPlant,
) -> None:
    """After the second message that nobody has, the numbers are no longer followed."""
    sink = KeepingSink()
    vibration = plant.index("Vibration")
    async with running(plant, sink) as task:
        for _ in range(3):
            seen = len(sink.values_of(vibration))
            await until(
                lambda: len(sink.values_of(vibration)) > seen + 5,  # noqa: B023
                what="values",
            )
            swallowed = swallow(served(plant, group="fast"), count=1, forget=True)
            await until(lambda: bool(swallowed), what="a swallowed message")  # noqa: B023
            await asyncio.sleep(0.2)  # the next one shows that it is missing
        assert not task.done()
    assert edges_of(sink) == [[vibration]]


async def test_a_session_that_is_lost_alone_is_a_lost_session(plant: OpcuaPlant) -> None:
    """The connection stands; a second session on a new one goes on with newer values."""
    sink = KeepingSink()
    flow = plant.index("Flow")
    async with running(plant, sink) as task:
        await until(lambda: len(sink.values_of(flow)) > 5, what="values")
        assert plant.server is not None
        assert plant.server.bserver is not None
        [protocol] = plant.server.bserver.clients
        assert protocol.processor is not None
        assert protocol.processor.session is not None
        await protocol.processor.session.close_session(True)
        error = await failure_of(task)
    assert plant.connector.address in str(error)
    assert sink.sample_count == plant.offered_count()
    again = KeepingSink()
    plant.wire.downstream.clear()
    async with running(plant, again):
        await until(lambda: len(again.values_of(flow)) > 5, what="values again")
    assert again.sample_count == plant.offered_count()
    assert_rising(sink.values_of(flow))
    assert_rising(again.values_of(flow))
    assert sink.values_of(flow)[-1] <= again.values_of(flow)[0]
