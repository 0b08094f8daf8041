"""The OPC UA connector: subscribes to nodes and hands on what the server reports.

Each group of tags has a subscription of its own. The source's time is kept; where there is none
it is the server's, else ours. A node that the server does not know makes its own tag Bad, once,
in a frame that says that it is ours, and is asked for again now and then.
"""

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, NoReturn, Self
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, field_validator, model_validator

from connectors.cancellation import CancellationFirst
from connectors.greeting import Greeting
from connectors.messages import device_error
from connectors.opcua_data import DataSettings, RateSettings
from connectors.taglist import check_groups, read_opcua_tags
from gateway.core.arrays import IndexArray
from gateway.core.device_status import ConnectorReport
from gateway.core.errors import CommandError, ConfigError
from gateway.core.ports import Clock, Sink
from gateway.core.tags import Tag

if TYPE_CHECKING:
    from connectors.opcua_connect import LinkSettings
    from connectors.opcua_reception import Reception, ReceptionMemory
    from connectors.opcua_session import UaLink

NS_PER_S = 1_000_000_000


class SubscriptionGroup(RateSettings):
    """Tags that are reported, or polled, at a rate of their own."""


class OpcuaConfig(DataSettings):
    """One OPC UA server."""

    type: Literal["opcua"]
    """Protocol."""
    endpoint: str
    """Address of the server, as `opc.tcp://host:port/path`."""
    security: Literal["None", "Basic256Sha256"]
    """Basic256Sha256 signs and encrypts; None does neither, and is used only when written here."""
    trust: Literal["folder", "first_use"] = "folder"
    """Trust certificates in the folder `trusted`, or also the first one that the server shows."""
    user: str = ""
    """User name; empty logs in anonymously."""
    password_file: Path | None = None
    """File with the user's password, beside the configuration file; needs security."""
    tags: Path
    """CSV file with the node list, beside the configuration file."""
    groups: dict[str, SubscriptionGroup] = Field(default_factory=dict)
    """Rates of the groups that the tag list names."""
    queue_size: Annotated[int, Field(ge=1, le=100_000)] = 100
    """Values of each tag that the server keeps while it cannot report."""
    report: Literal["changes", "updates"] = "changes"
    """Report a value when it or its quality changed, or also when only its time did."""
    decode: Literal["columns", "library"] = "columns"
    """Decode responses ourselves, or with the library: slower, for when it changed."""
    timeout_s: Annotated[float, Field(gt=0, le=60)] = 4.0
    """Longest wait for every answer."""
    keep_alive_s: Annotated[float, Field(ge=0.1, le=3600)] = 5.0
    """How often the server says that it is there while nothing changes."""
    silence_s_max: Annotated[float, Field(ge=0.2, le=7200)] = 15.0
    """Longest silence of the server, keep-alives included; then it counts as lost."""
    node_retry_s: Annotated[float, Field(ge=1, le=86_400)] = 60.0
    """How often to ask again for nodes that the server did not know."""
    stop_s: Annotated[float, Field(gt=0, le=30)] = 2.0
    """Longest wait at a stop for values that are on their way."""

    @field_validator("endpoint")
    @classmethod
    def _check_endpoint(cls, endpoint: str) -> str:
        parts = urlsplit(endpoint)
        if parts.scheme != "opc.tcp" or not parts.hostname or parts.port is None:
            raise ValueError(f"{endpoint!r} is not opc.tcp://host:port")
        if parts.username is not None:
            raise ValueError("a user stands in `user`, not in the endpoint")
        return endpoint

    @model_validator(mode="after")
    def _check_together(self) -> Self:
        if self.user and self.security == "None":
            raise ValueError("a password would travel in the clear: set security")
        if bool(self.user) != (self.password_file is not None):
            raise ValueError("user and password_file belong together")
        if self.silence_s_max < 2 * self.keep_alive_s:
            raise ValueError(
                f"silence_s_max {self.silence_s_max:g} is below twice keep_alive_s "
                f"{self.keep_alive_s:g}"
            )
        return self


class OpcuaConnector:
    """Implements `Connector`."""

    def __init__(
        self, name: str, config: OpcuaConfig, *, folder: Path, state_folder: Path, clock: Clock
    ) -> None:
        """Read the node list and the password.

        Args:
            name: Opens the ids of the tags.
            config: Its settings.
            folder: That of the configuration file; files in `config` start there.
            state_folder: Keeps the gateway's certificate and those of trusted servers.
            clock: Time.
        Raises:
            ConfigError: with all mistakes of the node list, or no password.
        """
        rows = read_opcua_tags(folder / config.tags)
        check_groups(
            [row.entry for row in rows], config.groups, file=config.tags.name, connector=name
        )
        self.name = name
        self.address = config.endpoint
        self.tags = tuple(row.entry.tag(name) for row in rows)
        self._config = config
        self._rows = rows
        self._password = _password(config, folder, name)
        self._state_folder = state_folder
        self._clock = clock
        self._link: UaLink | None = None
        self._memory: ReceptionMemory | None = None

    async def session(self, sink: Sink, indices: IndexArray) -> None:
        """Subscribe and hand on values until cancelled; see `Connector`."""
        # Made here: asyncua takes half a second and 25 MB that a Modbus gateway does without.
        from connectors.opcua_connect import open_link

        assert len(indices) == len(self.tags)
        with CancellationFirst() as cancellation:
            link = await open_link(self._link_settings(), self._clock)
            try:
                cancellation.check()
                self._link = link
                await self._run(link, sink, indices)
            finally:
                self._link = None
                await link.close()

    async def write(self, tag: Tag, value: float) -> float:
        """Write one value in engineering units and return what is read back."""
        if not tag.writable:
            raise CommandError(f"{tag.id} is not declared writable")
        if self._link is None:
            raise device_error(
                self._device,
                "is not connected",
                check="Write again when it is.",
                expert=f"write {tag.id}",
            )
        node = self._rows[self.tags.index(tag)].node
        raw = await self._link.write(node, (value - tag.offset) / tag.scale)
        return raw * tag.scale + tag.offset

    def report(self) -> ConnectorReport:
        """Return what it knows of its own doings."""
        if self._memory is None:
            return ConnectorReport()
        from connectors.opcua_report import report_of

        return report_of(
            self._memory.figures,
            self._memory.refusals,
            rows=self._rows,
            names=[tag.id for tag in self.tags],
            node_retry_s=self._config.node_retry_s,
            now_ns=self._clock.now_ns(),
            monotonic_ns=self._clock.monotonic_ns(),
        )

    @property
    def _device(self) -> str:
        """Name and address, for messages."""
        return f"{self.name} ({self.address})"

    async def _run(self, link: "UaLink", sink: Sink, indices: IndexArray) -> NoReturn:
        """Divide the tags between subscriptions and polls, and run both."""
        from connectors.opcua_limits import Profile
        from connectors.opcua_plan import divide, wishes_of
        from connectors.opcua_poller import PollSurroundings
        from connectors.opcua_polls import Polls
        from connectors.opcua_reception import ReceptionMemory
        from connectors.opcua_subscribe import Subscriber, Surroundings

        config = self._config
        await link.refresh_namespaces()
        traits = await link.learn(Profile(config.profile))
        if self._memory is None:
            self._memory = ReceptionMemory()
        greeting, reception = Greeting(sink), self._reception(sink, indices, self._memory)
        wishes = wishes_of(
            self._rows,
            config,
            config.groups,
            keep_alive_s=config.keep_alive_s,
            queue_size=config.queue_size,
            reports_updates=config.report == "updates",
        )
        polls = Polls(
            wishes.periods_ms,
            PollSurroundings(
                device=self._device,
                name=self.name,
                link=link,
                sink=sink,
                greeting=greeting,
                reception=reception,
                memory=self._memory,
                node_retry_s=config.node_retry_s,
                stop_s=config.stop_s,
                clock=self._clock,
            ),
        )
        division = divide(wishes.plans, traits)
        polls.add(wishes.polled)
        polls.take_over(division.rest)
        subscriber = None
        if division.plans:
            around = Surroundings(
                device=self._device,
                link=link,
                sink=sink,
                indices=indices,
                greeting=greeting,
                reception=reception,
                polls=polls,
                silence_s_max=config.silence_s_max,
                node_retry_s=config.node_retry_s,
                stop_s=config.stop_s,
                clock=self._clock,
            )
            running = Subscriber(division.plans, around).run()
            subscriber = asyncio.create_task(running, name="subscriber")
        await polls.run_beside(subscriber)

    def _reception(self, sink: Sink, indices: IndexArray, memory: "ReceptionMemory") -> "Reception":
        from connectors.opcua_reception import Reception, ReceptionRules

        config = self._config
        return Reception(
            names=[tag.id for tag in self.tags],
            indices=indices,
            elements={
                handle: row.element
                for handle, row in enumerate(self._rows)
                if row.element is not None
            },
            rules=ReceptionRules(
                uses_source_time=config.time == "source",
                source_ahead_ns_max=round(config.source_ahead_s_max * NS_PER_S),
                texts_per_min_max=config.text_events_per_min_max,
            ),
            memory=memory,
            sink=sink,
            name=self.name,
            clock=self._clock,
        )

    def _link_settings(self) -> "LinkSettings":
        from connectors.opcua_client import Decode
        from connectors.opcua_connect import LinkSettings
        from connectors.opcua_trust import Trust

        config = self._config
        return LinkSettings(
            device=self._device,
            name=self.name,
            endpoint=config.endpoint,
            is_secure=config.security == "Basic256Sha256",
            user=config.user,
            password=self._password,
            trust=Trust(config.trust),
            folder=self._state_folder,
            timeout_s=config.timeout_s,
            decode=Decode(config.decode),
        )


def _password(config: OpcuaConfig, folder: Path, name: str) -> SecretStr:
    """Return the user's password; empty when there is no user.

    Raises:
        ConfigError: its file cannot be read.
    """
    if config.password_file is None:
        return SecretStr("")
    path = folder / config.password_file
    try:
        return SecretStr(path.read_text(encoding="utf-8").rstrip("\r\n"))
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"connectors.{name}.password_file: {path}: {error}") from error
