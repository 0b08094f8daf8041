"""What the API does when a person asks for it. Every action carries the person's name."""

from pathlib import Path
from uuid import uuid4

from gateway.api.answers import AppliedAnswer, CommandAnswer, EventAnswer, ModelList
from gateway.api.errors import NotFoundError
from gateway.api.reads import device_named, read_models
from gateway.api.requests import (
    ApplyRequest,
    CommandRequest,
    ModelRequest,
    Request,
    TrustRequest,
)
from gateway.api.translate import command_answer, event_answer
from gateway.api.view import GatewayView
from gateway.core.commands import Command, CommandId, CommandOrigin
from gateway.core.errors import CommandError, ConfigError
from gateway.core.models import ModelStage
from gateway.core.tags import TagId


async def trust(view: GatewayView, request: TrustRequest, operator: str) -> EventAnswer:
    """Trust the certificate that a device has shown."""
    device = device_named(view, request.device)
    if device.report.untrusted_certificate != request.sha256:
        raise CommandError(f"{device.name} shows no such certificate that is not trusted")
    return event_answer(await view.trust(device.name, request.sha256, operator=operator))


async def promote(view: GatewayView, request: ModelRequest, operator: str) -> ModelList:
    """Put the version in shadow in force."""
    _check_version(view, request, stage=ModelStage.SHADOW)
    await view.promote(request.name, operator=operator)
    return read_models(view, Request())


async def roll_back(view: GatewayView, request: ModelRequest, operator: str) -> ModelList:
    """Take the version in force out, and put the former one in its place."""
    _check_version(view, request, stage=ModelStage.ACTIVE)
    await view.roll_back(request.name, operator=operator)
    return read_models(view, Request())


async def submit_command(
    view: GatewayView, request: CommandRequest, operator: str
) -> CommandAnswer:
    """Write one value to one tag, and tell what became of it."""
    if TagId(request.tag) not in view.table():
        raise NotFoundError(f"there is no tag {request.tag!r}")
    command = Command(
        id=CommandId(request.id or uuid4().hex),
        tag=TagId(request.tag),
        value=request.value,
        deadline_ns=view.now_ns() + round(request.within_s * 1e9),
        origin=CommandOrigin.PERSON,
        operator=operator,
    )
    return command_answer(await view.submit(command))


async def apply(view: GatewayView, request: ApplyRequest, operator: str) -> AppliedAnswer:
    """Check a configuration, and put it on trial."""
    before = view.configuration().digest
    if request.file and not Path(request.file).is_absolute():
        raise CommandError(f"{request.file!r} is no whole path")
    file = Path(request.file) if request.file else None
    try:
        digest = await view.apply(file, operator=operator)
    except ConfigError as error:
        return AppliedAnswer(digest="", is_change=False, mistakes=error.mistakes)
    return AppliedAnswer(digest=digest, is_change=digest != before, mistakes=())


def _check_version(view: GatewayView, request: ModelRequest, *, stage: ModelStage) -> None:
    versions = [model for model in view.models() if model.name == request.name]
    if not versions:
        raise NotFoundError(f"there is no model {request.name!r}")
    found = [model.version for model in versions if model.stage is stage]
    if request.version not in found:
        there = ", ".join(found) or "none"
        raise CommandError(
            f"{request.name} {request.version} is not {stage.value}; {stage.value} is: {there}"
        )
