"""The InfluxDB uplink against a real server that gives the answers a database gives on bad days."""

import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from aiohttp import web

from gateway.core.errors import BatchTooLargeError, RefusedBatchError, UplinkError
from gateway.core.events import Transition
from gateway.core.ports import Batch
from gateway.core.records import Record
from tests.cloud_sync.edge_influxdb import (
    Site,
    batch_of,
    complaint,
    points_in,
    running_site,
    written,
)
from tests.cloud_sync.edge_server import answering
from tests.naive.line_protocol import parse

TOO_OLD = (
    "failure writing points to database: partial write: points beyond retention policy dropped={}"
)
TOO_OLD_LONG = (
    "failure writing points to database: partial write: dropped {0} points outside retention"
    " policy of duration 24h0m0s - oldest point m at 1970-01-01T00:00:01Z dropped because it"
    " violates a Retention Policy Lower Bound at 2025-05-20T19:06:17Z, newest point m at"
    " 1970-01-01T00:00:01Z dropped because it violates a Retention Policy Lower Bound at"
    " 2025-05-20T19:06:17Z dropped={0} for database: 9f282d63c7d3a5c0 for retention policy: autogen"
)


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[Site]:
    async with running_site(tmp_path) as site:
        yield site


async def test_a_batch_is_one_packed_write_with_its_token(site: Site) -> None:
    result = await site.uplink().send(batch_of(3))
    (request,) = site.server.requests
    assert (request.method, request.path) == ("POST", "/api/v2/write")
    assert dict(request.query) == {"org": "acme", "bucket": "plant", "precision": "ns"}
    assert request.headers["Authorization"] == "Token s3cret"
    assert request.headers["Content-Encoding"] == "gzip"
    points = points_in(site.server.bodies)
    assert [point.measurement for point in points] == ["edgewright_events"] + 4 * ["edgewright"]
    assert {point.tags["site"] for point in points} == {"ulm"}
    assert [point.fields.get("value") for point in points[1:]] == [2.0, -1.0, 3.0, -1.0]
    assert (result.accepted, result.sample_count, result.duplicate_count) == (3, 4, 0)
    assert result.size_bytes == int(request.headers["Content-Length"])


async def test_a_big_batch_is_several_writes_of_a_bounded_size(site: Site) -> None:
    result = await site.uplink(lines_max=10).send(batch_of(21))
    assert [len(parse(body.decode())) for body in site.server.bodies] == [10, 10, 10, 10, 1]
    assert (result.accepted, result.sample_count) == (21, 40)


async def test_the_same_batch_again_is_the_same_points(site: Site) -> None:
    uplink = site.uplink()
    await uplink.send(batch_of(5))
    await uplink.send(batch_of(5))
    first, again = site.server.bodies
    assert first == again


async def test_only_204_confirms(site: Site) -> None:
    for status in (200, 201, 202, 304):
        site.server.handler = answering(status, "")
        with pytest.raises(UplinkError, match="is this InfluxDB"):
            await site.uplink().send(batch_of(1))


async def test_a_write_refused_in_the_middle_confirms_nothing(site: Site) -> None:
    """The first two writes of the batch have been taken: they go again, which does no harm."""
    uplink = site.uplink(lines_max=2)

    async def third_fails(_request: web.Request) -> web.StreamResponse:
        return web.Response(status=204 if len(site.server.requests) < 3 else 500)

    site.server.handler = third_fails
    with pytest.raises(UplinkError, match="look at its logs"):
        await uplink.send(batch_of(9))
    site.server.handler = written
    before = points_in(site.server.bodies)
    del site.server.bodies[:]
    await uplink.send(batch_of(9))
    after = points_in(site.server.bodies)
    assert {point.identity for point in before} <= {point.identity for point in after}


@pytest.mark.parametrize(
    ("status", "text", "words"),
    [
        (301, "", "unknown way"),
        (307, "", "unknown way"),
        (401, '{"code":"unauthorized","message":"unauthorized access"}', "token"),
        (403, "", "token"),
        (404, '{"code":"not found","message":"bucket \\"plant\\" not found"}', "no bucket 'plant'"),
        (404, "<html>404</html>", "check the address"),
        (429, "", "cannot take points now"),
        (500, '{"code":"internal error","message":"engine: cache maximum"}', "logs"),
        (502, "<html>bad gateway</html>", "logs"),
        (503, "", "cannot take points now"),
        (400, "<html>nginx</html>", "unknown way"),
        (422, "[]", "unknown way"),
        (400, '{"message": "a gateway in between says no"}', "unknown way"),
        (400, '{"code": 400, "message": "another one"}', "unknown way"),
        (400, b"\xff\xfe".decode("latin-1"), "unknown way"),
    ],
)
async def test_what_says_nothing_about_a_record_is_an_outage_with_advice(
    site: Site, status: int, text: str, words: str
) -> None:
    site.server.handler = answering(status, text)
    with pytest.raises(UplinkError, match=words) as caught:
        await site.uplink().send(batch_of(1))
    assert not isinstance(caught.value, RefusedBatchError)
    assert f"HTTP {status}" in caught.value.detail


async def test_an_answer_that_is_no_text_is_an_outage(site: Site) -> None:
    async def noise(_request: web.Request) -> web.StreamResponse:
        return web.Response(status=500, body=b"\xff\xfe\x00")

    site.server.handler = noise
    with pytest.raises(UplinkError, match="logs"):
        await site.uplink().send(batch_of(1))


@pytest.mark.parametrize("status", [429, 503])
async def test_the_database_may_ask_for_patience(site: Site, status: int) -> None:
    site.server.handler = answering(status, "", headers={"Retry-After": "17"})
    with pytest.raises(UplinkError) as caught:
        await site.uplink().send(batch_of(1))
    assert caught.value.retry_after_s == 17.0
    assert len(site.server.requests) == 1


async def test_a_redirect_is_not_followed(site: Site) -> None:
    """It would carry the token to wherever it points."""
    site.server.handler = answering(307, "", headers={"Location": "/elsewhere"})
    with pytest.raises(UplinkError):
        await site.uplink().send(batch_of(1))
    assert [request.path for request in site.server.requests] == ["/api/v2/write"]


@pytest.mark.parametrize(
    ("status", "message"),
    [
        (400, "unable to parse 'edgewright value=': missing field value"),
        (422, "failure writing points to database: partial write: field type conflict dropped=1"),
        (
            422,
            "failure writing points to database: partial write: dropped 1 points outside retention"
            " policy of duration 1h0m0s and 1 points outside write window dropped=2",
        ),
        (400, "unable to parse 'partial write: points beyond retention policy dropped=1': bad"),
        (422, TOO_OLD.format(0)),
        (422, TOO_OLD.format(99)),
    ],
)
async def test_a_point_that_is_refused_in_the_databases_words_is_poison(
    site: Site, status: int, message: str
) -> None:
    site.server.handler = complaint(status, message)
    with pytest.raises(RefusedBatchError, match="refuses a point") as caught:
        await site.uplink().send(batch_of(2))
    assert not isinstance(caught.value, BatchTooLargeError)
    assert message in caught.value.text


async def test_the_words_of_other_releases_are_understood(site: Site) -> None:
    """InfluxDB 1 and 3 say `error`."""
    text = json.dumps({"error": "partial write of line protocol occurred", "data": []})
    site.server.handler = answering(400, text)
    with pytest.raises(RefusedBatchError, match="partial write of line protocol"):
        await site.uplink().send(batch_of(2))


@pytest.mark.parametrize(
    ("status", "message"),
    [
        (422, TOO_OLD.format(3)),
        (422, TOO_OLD_LONG.format(3)),
        (400, "partial write: points beyond retention policy dropped=3"),
        (500, TOO_OLD.format(3).replace("failure", "unexpected error")),
    ],
)
async def test_points_older_than_the_bucket_keeps_count_as_taken_and_are_told_once(
    site: Site, status: int, message: str
) -> None:
    """As a thousand dead letters they would hold up the rest of an outage for days."""
    uplink = site.uplink()
    site.server.handler = complaint(status, message, code="unprocessable entity")
    for count in (5, 5, 5, 2):
        result = await uplink.send(batch_of(count))
        assert (result.accepted, result.sample_count) == (count, 2 * count - 2)
        site.clock.ahead_s += 59
    site.server.handler = written
    await uplink.send(batch_of(3))
    assert [event.transition for event in site.events] == [Transition.RAISED]
    site.clock.ahead_s += 1
    await uplink.send(batch_of(3))
    raised, returned = site.events
    assert (raised.source, raised.condition) == ("influx", "points_expired")
    assert "keeps nothing so old" in raised.text
    assert returned.transition is Transition.RETURNED
    assert "12 were too old" in returned.text
    await uplink.send(batch_of(3))
    assert len(site.events) == 2


async def test_a_write_that_is_too_large_goes_in_halves_and_the_next_ones_smaller(
    site: Site,
) -> None:
    """Also for a single record: a sealed block is many points."""
    uplink = site.uplink()

    async def small_only(request: web.Request) -> web.StreamResponse:
        lines = (await request.read()).count(b"\n") + 1
        return web.Response(status=204 if lines <= 3 else 413)

    site.server.handler = small_only
    result = await uplink.send(batch_of(6))
    assert (result.accepted, result.sample_count) == (6, 10)
    taken = [body for body in site.server.bodies if body.count(b"\n") < 3]
    assert len(points_in(taken)) == 11
    del site.server.bodies[:]
    await uplink.send(batch_of(6))
    assert max(len(parse(body.decode())) for body in site.server.bodies) <= 3


async def test_one_point_that_is_too_large_is_poison(site: Site) -> None:
    site.server.handler = answering(413, "<html>nginx</html>")
    with pytest.raises(BatchTooLargeError):
        await site.uplink().send(batch_of(3))


async def test_a_damaged_record_is_poison_and_not_sent(site: Site) -> None:
    batch = batch_of(1)
    (event,) = batch.records
    damaged = Record(boot=event.boot, seq=event.seq, kind=event.kind, body=event.body[:-1])
    with pytest.raises(RefusedBatchError, match="cannot be read"):
        await site.uplink().send(Batch(gateway="g", records=(damaged,), tables=()))
    assert site.server.requests == []
