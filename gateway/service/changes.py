"""From one configuration to the next in a running gateway, and back when the plant gets worse.

A new configuration is read and built beside the running one; a mistake in it changes nothing. Then
the parts are stopped in order, nothing is lost, and all begins anew with the new one in the same
process: the machines are not asked for a second or two. It is on trial (`gateway.trial`) until it
has proven itself. If it does not, or does not even start, the gateway returns to the last good one;
so it does after a crash in the middle, because the standing on disk names the last good one until
the trial is over.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Final

import structlog

from gateway.api.view import GatewayView
from gateway.config import Config, read_config
from gateway.core.configuration_status import ConfigurationReturn, ConfigurationStatus
from gateway.core.device_status import DeviceState
from gateway.core.errors import CommandError, ConfigError, GatewayError
from gateway.core.events import Event
from gateway.core.ports import Clock
from gateway.core.quality import Status
from gateway.service.build import build_parts
from gateway.service.configurations import (
    ConfigurationFolder,
    Copy,
    Left,
    OnTrial,
    Standing,
    at_start,
    copy_of,
)
from gateway.trial import LOOK_S, PlantHealth, Trial, Verdict

log = structlog.get_logger()

SOURCE: Final = "gateway"
"""Source of the events."""
APPLIED: Final = "config_applied"
APPLIED_SEVERITY: Final = 200
RETURNED: Final = "config_returned"
RETURNED_SEVERITY: Final = 700
REFUSED: Final = "config_refused"
REFUSED_SEVERITY: Final = 400

LEARNING_PARTS: Final = ("alarms", "assessment", "vibration", "twin.", "detector.", "life.")
"""How the names of those parts of a checkpoint open that belong to a configuration. Cases do not:
what a technician said during a trial is not taken back with it."""

Note = Callable[[Event], None]
"""Takes the events, in order."""
Forget = Callable[[str], Awaitable[None]]
"""Takes the cursor of an uplink out of the log."""


class Changes:
    """Which configuration runs and which is next; one for the life of the process."""

    def __init__(self, path: Path, *, clock: Clock) -> None:
        """Decide what this start runs; blocks.

        Args:
            path: The file that the start was given.
            clock: Time.
        Raises:
            ConfigError: one line for each mistake in the file.
        """
        self._start_file = path.resolve()
        self._clock = clock
        given = copy_of(path)
        self.config = read_config(path)
        """What runs."""
        self._folder = ConfigurationFolder(self.config.gateway.state_folder)
        self._health: Callable[[], PlantHealth] | None = None
        self._before: PlantHealth | None = None
        self._until_ns: int | None = None
        self._untold: list[Event] = []
        self._is_checking = False
        self._is_ended = False
        self._former_uplinks: tuple[str, ...] = ()
        self._stop = asyncio.Event()
        self._wanted = asyncio.Event()
        self._standing = self._at_start(given)

    def _at_start(self, given: Copy) -> Standing:
        before = self._folder.standing()
        file, now_ns = str(self._start_file), self._clock.now_ns()
        standing = at_start(before, given.digest, file=file, now_ns=now_ns)
        try:
            if standing.in_force == given.digest:
                self._folder.keep(given)
            self.config = self._folder.load(standing.in_force)
        except (OSError, ConfigError) as error:
            # A full disk must not keep the gateway from starting: it runs what it was given.
            log.error("configuration_not_kept", reason=str(error), stage="processing")
            return Standing(in_force=given.digest, since_ns=now_ns, file=file)
        if before.trial is not None:
            assert standing.left is not None
            self._untold.append(self._returned_event(standing.left))
        if standing.in_force != given.digest:
            log.warning(
                "configuration_left_before",
                file=file,
                left=given.digest,
                reason=standing.left.reason if standing.left else "",
                in_force=standing.in_force,
                remedy="the last good one runs instead; edgewright apply tries the file again",
            )
        return standing

    @property
    def stop(self) -> asyncio.Event:
        """Ends the present run: the service is to end, or another configuration is next."""
        return self._stop

    @property
    def folder(self) -> Path:
        """Where relative paths begin; those of `config` are whole already."""
        return self._start_file.parent

    @property
    def is_ended(self) -> bool:
        """Whether the service is to end."""
        return self._is_ended

    @property
    def is_on_trial(self) -> bool:
        """Whether what runs, or is about to, has yet to prove itself."""
        return self._standing.trial is not None

    @property
    def uplinks(self) -> tuple[str, ...]:
        """Uplinks whose place in the log must be kept: on trial also those of the last good one."""
        return (*self.config.uplinks, *self._former_uplinks)

    def end(self) -> None:
        """End the service; for a signal."""
        self._is_ended = True
        self._stop.set()

    def want_file(self) -> None:
        """Apply the start's file again; for a signal."""
        self._wanted.set()

    def begin_run(self) -> None:
        """Take up what is to run now; blocks.

        Raises:
            ConfigError: its copy is damaged.
        """
        if not self._is_ended:
            self._stop.clear()
        self._until_ns = None
        self._former_uplinks = ()
        if self._standing.trial is not None:
            self.config = self._folder.load(self._standing.trial.digest)
            former = self._folder.load(self._standing.in_force).uplinks
            self._former_uplinks = tuple(x for x in former if x not in self.config.uplinks)

    def resumed(self, checkpoint: Mapping[str, bytes]) -> dict[str, bytes]:
        """Return what to go on from where the log's checkpoint says nothing; blocks.

        At the begin of a trial the checkpoint is kept for the way back, and nothing is returned.
        On the way back it is what was learnt before: the trial may not have had all the parts, or
        have made them under its own configuration.

        Args:
            checkpoint: The log's.
        """
        standing = self._standing
        learnt = {x: state for x, state in checkpoint.items() if x.startswith(LEARNING_PARTS)}
        if standing.trial is None:
            return self._folder.state_of(standing.in_force)
        try:
            self._folder.keep_state(standing.in_force, learnt)
        except OSError as error:
            log.error("configuration_state_not_kept", reason=str(error), stage="processing")
        return {}

    def status(self) -> ConfigurationStatus:
        """Return which configuration runs."""
        standing = self._standing
        trial, left = standing.trial, standing.left
        digest = standing.in_force if trial is None else trial.digest
        return ConfigurationStatus(
            digest=digest,
            since_ns=standing.since_ns if trial is None else trial.since_ns,
            file=standing.file if trial is None else trial.file,
            start_file=str(self._start_file),
            is_on_trial=trial is not None,
            trial_until_ns=self._until_ns,
            returned=None
            if left is None
            else ConfigurationReturn(digest=left.digest, time_ns=left.time_ns, reason=left.reason),
        )

    async def apply(self, path: Path | None, *, operator: str) -> str:
        """Check a configuration and put it on trial; the old one is stopped after the answer.

        Args:
            path: The file; None is the one that the service was started with.
            operator: Who wants it.
        Returns:
            Its digest; that of the configuration in force when it is the same.
        Raises:
            ConfigError: one line for each mistake; nothing has changed.
            CommandError: not now.
        """
        if self._is_checking or self._standing.trial is not None:
            raise CommandError("a new configuration is on trial: wait until it is decided")
        if self._health is None:
            raise CommandError("the gateway is only just starting")
        self._is_checking = True
        try:
            copy = await asyncio.to_thread(self._checked, path or self._start_file)
            if copy.digest == self._standing.in_force:
                return copy.digest
            await asyncio.to_thread(self._put_on_trial, copy, operator)
        finally:
            self._is_checking = False
        self._before = self._health()
        log.info("configuration_changes", digest=copy.digest, operator=operator)
        self._stop.set()
        return copy.digest

    def _checked(self, path: Path) -> Copy:
        """Return the copy of a file that can run here.

        Raises:
            ConfigError: it cannot.
        """
        copy = copy_of(path)
        config = read_config(path)
        mistakes = list(identity_mistakes(self.config, config))
        try:
            build_parts(config, folder=path.resolve().parent, clock=self._clock)
        except ConfigError as error:
            mistakes += error.mistakes
        if mistakes:
            raise ConfigError(*mistakes)
        return copy

    def _put_on_trial(self, copy: Copy, operator: str) -> None:
        """Write the standing that survives a crash.

        Raises:
            CommandError: the disk refuses, so that there would be no way back.
        """
        trial = OnTrial(
            digest=copy.digest,
            since_ns=self._clock.now_ns(),
            file=str(copy.origin.file),
            operator=operator,
        )
        standing = self._standing.model_copy(update={"trial": trial})
        try:
            # Also the one that runs: without its copy there is no way back.
            self._folder.load(standing.in_force)
            self._folder.keep(copy)
            self._folder.stand(standing)
        except (OSError, ConfigError) as error:
            raise CommandError(f"there would be no way back: {error}") from error
        self._standing = standing

    async def watch(self, view: GatewayView, *, note: Note, forget: Forget) -> None:
        """Judge the trial if there is one, then carry out what signals want, until cancelled.

        Args:
            view: The running gateway.
            note: Takes the events.
            forget: Lets go what the log keeps for an uplink that is no more.
        """
        # Only now it is known that what was chosen at the start does start.
        await asyncio.to_thread(self._stand, self._standing)
        health = self._health = lambda: plant_health(view)
        for event in self._untold:
            note(event)
        self._untold.clear()
        if self._standing.trial is not None:
            verdict = await self._verdict(health)
            if not verdict.is_kept:
                await asyncio.to_thread(self.leave, verdict.text)
                self._stop.set()
                return
            await self._stay(verdict.text, note=note)
            for uplink in self._former_uplinks:
                await forget(uplink)
        while True:
            await self._wanted.wait()
            self._wanted.clear()
            try:
                await self.apply(None, operator="")
            except GatewayError as error:
                mistakes = error.mistakes if isinstance(error, ConfigError) else (str(error),)
                log.error("configuration_refused", mistakes=mistakes, stage="receiving")
                text = f"{self._start_file.name} is not applied: {mistakes[0]}"
                note(self._event(REFUSED, REFUSED_SEVERITY, text))

    async def _verdict(self, health: Callable[[], PlantHealth]) -> Verdict:
        settings = self.config.apply
        before = self._before or PlantHealth(devices={}, tags={})
        trial = Trial(settings, before, now_ns=self._clock.monotonic_ns())
        self._until_ns = self._clock.now_ns() + int(settings.trial_s * 1e9)
        verdict = None
        while verdict is None:
            await asyncio.sleep(LOOK_S)
            verdict = trial.look(health(), now_ns=self._clock.monotonic_ns())
        self._until_ns = None
        return verdict

    async def _stay(self, text: str, *, note: Note) -> None:
        trial = self._standing.trial
        assert trial is not None
        standing = Standing(in_force=trial.digest, since_ns=trial.since_ns, file=trial.file)
        await asyncio.to_thread(self._stand, standing)
        log.info("configuration_applied", digest=trial.digest, figures=text)
        sentence = f"configuration {trial.digest} has proven itself: {text}"
        note(self._event(APPLIED, APPLIED_SEVERITY, sentence, operator=trial.operator))

    def leave(self, reason: str) -> None:
        """Leave the configuration on trial: the next run takes the last good one."""
        trial = self._standing.trial
        assert trial is not None
        left = Left(digest=trial.digest, time_ns=self._clock.now_ns(), reason=reason)
        self._stand(self._standing.model_copy(update={"trial": None, "left": left}))
        self.config = self._folder.load(self._standing.in_force)
        self._wanted.clear()
        self._untold.append(self._returned_event(left))
        log.warning(
            "configuration_returned",
            left=left.digest,
            in_force=self._standing.in_force,
            reason=reason,
        )

    def _stand(self, standing: Standing) -> None:
        self._standing = standing
        try:
            self._folder.stand(standing)
        except OSError as error:
            # What is on disk still names the last good one: the next start takes that.
            log.error("configuration_standing_not_written", reason=str(error), stage="processing")

    def _returned_event(self, left: Left) -> Event:
        text = f"returned to the last good configuration; {left.digest} was left: {left.reason}"
        return self._event(RETURNED, RETURNED_SEVERITY, text)

    def _event(self, condition: str, severity: int, text: str, *, operator: str = "") -> Event:
        return Event(
            time_ns=self._clock.now_ns(),
            source=SOURCE,
            condition=condition,
            severity=severity,
            text=text,
            operator=operator,
        )


def identity_mistakes(old: Config, new: Config) -> tuple[str, ...]:
    """Return what a new configuration changes that a running gateway cannot change."""
    pairs = {
        "gateway.id": (old.gateway.id, new.gateway.id),
        "gateway.state_folder": (old.gateway.state_folder, new.gateway.state_folder),
        "api.socket": (old.api.socket, new.api.socket),
        # The way back from a trial would meet records that it has no key for.
        "log.encryption": (_key_text(old), _key_text(new)),
    }
    return tuple(
        f"{place}: {str(after)!r} is {str(before)!r} while the gateway runs: stop the service, "
        "then start it with the new file"
        for place, (before, after) in pairs.items()
        if before != after
    )


def _key_text(config: Config) -> str:
    """Return where the key of the log is, for a person."""
    encryption = config.log.encryption
    return "none" if encryption is None else str(encryption.key_file or encryption.key_credential)


def plant_health(view: GatewayView) -> PlantHealth:
    """Return how the devices and their tags are now."""
    devices = {device.name: device.state is DeviceState.OK for device in view.devices()}
    values = view.values()
    # Stale is left out: where nothing changes, a subscription is silent and all is well.
    is_good, has_value = values.status < Status.UNCERTAIN, values.time_ns > 0
    columns = zip(view.table().tags, is_good.tolist(), has_value.tolist(), strict=True)
    return PlantHealth(
        devices=devices,
        tags={
            tag.id: good if known else None
            for tag, good, known in columns
            if tag.id.partition(".")[0] in devices
        },
    )
