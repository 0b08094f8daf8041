"""What the API does with records that a far end will never take: list them, send them again."""

from gateway.api.errors import NotFoundError
from gateway.api.requests import UplinkRequest
from gateway.api.translate import dead_letter_answer
from gateway.api.uplink_answers import DeadLetterAnswer, DeadLetterList, ResentAnswer
from gateway.api.view import GatewayView

LETTERS_MAX = 1000
"""In one answer."""


async def list_dead_letters(
    view: GatewayView, request: UplinkRequest, _operator: str
) -> DeadLetterList:
    """List the records that an uplink will never take."""
    return DeadLetterList(letters=await _letters(view, request.uplink))


async def send_dead_letters_again(
    view: GatewayView, request: UplinkRequest, operator: str
) -> ResentAnswer:
    """Send the oldest dead letters again, and tell what became of them."""
    _check_uplink(view, request.uplink)
    taken = await view.send_dead_letters_again(request.uplink, operator=operator)
    return ResentAnswer(taken=taken, letters=await _letters(view, request.uplink))


async def _letters(view: GatewayView, uplink: str) -> tuple[DeadLetterAnswer, ...]:
    _check_uplink(view, uplink)
    letters = await view.dead_letters(uplink, count_max=LETTERS_MAX)
    return tuple(dead_letter_answer(letter) for letter in letters)


def _check_uplink(view: GatewayView, name: str) -> None:
    if not any(uplink.name == name for uplink in view.uplinks()):
        raise NotFoundError(f"there is no uplink {name!r}")
