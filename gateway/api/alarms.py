"""What the API tells of alarms, and what it does to them when a person asks for it."""

from gateway.api.alarm_answers import AlarmAnswer, AlarmCountAnswer, AlarmList, AlarmMetricsAnswer
from gateway.api.answers import AlarmCounts, EventAnswer
from gateway.api.errors import NotFoundError
from gateway.api.requests import AlarmRequest, ReasonRequest, Request, ShelveRequest
from gateway.api.translate import event_answer, evidence_answer, moment, moment_or_none
from gateway.api.view import GatewayView
from gateway.core.alarms import Alarm, AlarmAction, AlarmId, AlarmOrder, AlarmState

_UNSEEN = (
    AlarmState.UNACKNOWLEDGED,
    AlarmState.RETURNED,
    AlarmState.LATCHED_UNACKNOWLEDGED,
)
_SEEN = (AlarmState.ACKNOWLEDGED, AlarmState.LATCHED_ACKNOWLEDGED)


def read_alarms(view: GatewayView, _request: Request) -> AlarmList:
    """List the alarms that are not normal, the worst first."""
    return AlarmList(alarms=tuple(map(alarm_answer, view.alarms())))


def read_alarm_metrics(view: GatewayView, _request: Request) -> AlarmMetricsAnswer:
    """Show how the alarms did in the last days, against what a person can deal with."""
    metrics = view.alarm_metrics()
    return AlarmMetricsAnswer(
        since=moment(metrics.from_ns),
        until=moment(metrics.to_ns),
        announced=metrics.announced,
        raised=metrics.raised,
        last_hour=metrics.last_hour,
        per_10min=metrics.per_10min,
        per_hour=metrics.per_hour,
        per_day=metrics.per_day,
        target_per_hour=metrics.target_per_hour,
        is_within_target=metrics.is_within_target,
        peak_per_10min=metrics.peak_per_10min,
        peak_raised_per_10min=metrics.peak_raised_per_10min,
        flood_count=metrics.flood_count,
        flood_share=metrics.flood_share,
        flood_since=moment_or_none(metrics.flood_since_ns),
        high=metrics.high,
        medium=metrics.medium,
        low=metrics.low,
        fleeting=metrics.fleeting,
        chattering=metrics.chattering,
        chattering_now=metrics.chattering_now,
        stale=metrics.stale,
        most_frequent=tuple(
            AlarmCountAnswer(alarm=each.alarm, count=each.count, share=each.share)
            for each in metrics.most_frequent
        ),
    )


async def acknowledge(view: GatewayView, request: AlarmRequest, operator: str) -> EventAnswer:
    """Note that a person has seen an alarm."""
    return await _act(view, request, AlarmAction.ACKNOWLEDGE, operator)


async def reset(view: GatewayView, request: AlarmRequest, operator: str) -> EventAnswer:
    """Let a latched alarm go whose condition is gone."""
    return await _act(view, request, AlarmAction.RESET, operator)


async def shelve(view: GatewayView, request: ShelveRequest, operator: str) -> EventAnswer:
    """Silence an alarm for a time."""
    until_ns = view.now_ns() + round(request.for_s * 1e9)
    return await _act(
        view, request, AlarmAction.SHELVE, operator, reason=request.reason, until_ns=until_ns
    )


async def unshelve(view: GatewayView, request: AlarmRequest, operator: str) -> EventAnswer:
    """Let a shelved alarm speak again before its time."""
    return await _act(view, request, AlarmAction.UNSHELVE, operator)


async def take_out(view: GatewayView, request: ReasonRequest, operator: str) -> EventAnswer:
    """Take an alarm out of service, until a person puts it back."""
    return await _act(view, request, AlarmAction.TAKE_OUT, operator, reason=request.reason)


async def put_back(view: GatewayView, request: AlarmRequest, operator: str) -> EventAnswer:
    """Put an alarm into service again."""
    return await _act(view, request, AlarmAction.PUT_BACK, operator)


def alarm_answer(alarm: Alarm) -> AlarmAnswer:
    """Return one alarm."""
    return AlarmAnswer(
        id=alarm.id,
        source=alarm.source,
        condition=alarm.condition,
        severity=alarm.severity,
        state=alarm.state.value,
        is_active=alarm.active,
        raised=moment_or_none(alarm.raised_ns),
        onset=moment_or_none(alarm.onset_ns),
        shelved_until=moment_or_none(alarm.shelved_until_ns),
        silenced_since=moment_or_none(alarm.silenced_since_ns),
        silenced_by=alarm.silenced_by,
        silenced_reason=alarm.silenced_reason,
        is_quiet=alarm.is_quiet,
        is_chattering=alarm.is_chattering,
        group=alarm.group,
        group_order=alarm.group_order,
        text=alarm.text,
        evidence=tuple(map(evidence_answer, alarm.evidence)),
    )


def alarm_counts(alarms: tuple[Alarm, ...]) -> AlarmCounts:
    """Return how many alarms ask for what."""
    states = [alarm.state for alarm in alarms]
    return AlarmCounts(
        unacknowledged=sum(states.count(state) for state in _UNSEEN),
        acknowledged=sum(states.count(state) for state in _SEEN),
        shelved=states.count(AlarmState.SHELVED),
        suppressed=states.count(AlarmState.SUPPRESSED),
        out_of_service=states.count(AlarmState.OUT_OF_SERVICE),
    )


async def _act(
    view: GatewayView,
    request: AlarmRequest,
    action: AlarmAction,
    operator: str,
    *,
    reason: str = "",
    until_ns: int | None = None,
) -> EventAnswer:
    alarm = AlarmId(request.alarm)
    if not view.has_alarm(alarm):
        raise NotFoundError(f"there is no alarm {request.alarm!r}")
    order = AlarmOrder(
        alarm=alarm,
        action=action,
        time_ns=view.now_ns(),
        operator=operator,
        reason=reason,
        until_ns=until_ns,
    )
    return event_answer(await view.act_on_alarm(order))
