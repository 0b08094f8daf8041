"""The OPC UA connector: subscribes to nodes and hands on what the server reports.

Each group of tags has a subscription of its own. The source's time is kept; where there is none
it is the server's, else ours. A node that the server does not know makes its own tag Bad, once,
in a frame that says that it is ours, and is asked for again now and then.
"""

import asyncio
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, NoReturn, Self
from urllib.parse import urlsplit

from pydantic import Field, field_validator, model_validator

from connectors.cancellation import CancellationFirst
from connectors.greeting import Greeting
from connectors.messages import device_error
from connectors.news import News
from connectors.opcua.data_settings import DataSettings, RateSettings
from connectors.opcua.events import EventSettings
from connectors.opcua.history_settings import HistorySettings
from connectors.opcua.security import SecuritySettings, read_credentials
from connectors.opcua.tags import read_opcua_tags
from connectors.taglist import check_groups
from gateway.core.arrays import IndexArray
from gateway.core.device_status import ConnectorReport
from gateway.core.errors import CommandError
from gateway.core.ports import Clock, Sink
from gateway.core.tags import Tag

if TYPE_CHECKING:
    from connectors.opcua.certificates import CertificateWatch
    from connectors.opcua.connect import LinkSettings
    from connectors.opcua.control import ControlLink
    from connectors.opcua.event_feed import EventFeed
    from connectors.opcua.history import Healer
    from connectors.opcua.reception import Reception, ReceptionMemory

DATES_S = 3600.0
"""How often the certificates' dates are looked at while a session stands."""
NS_PER_S = 1_000_000_000


class SubscriptionGroup(RateSettings):
    """Tags that are reported, or polled, at a rate of their own."""


class OpcuaConfig(SecuritySettings, DataSettings, HistorySettings):
    """One OPC UA server."""

    type: Literal["opcua"]
    """Protocol."""
    endpoint: str
    """Address of the server, as `opc.tcp://host:port/path`."""
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
    events: EventSettings | None = None
    """Alarms and events that the server tells; without this table, none."""

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
        """Read the node list and the secrets.

        Args:
            name: Opens the ids of the tags.
            config: Its settings.
            folder: That of the configuration file; files in `config` start there.
            state_folder: Keeps the gateway's certificate and those of trusted servers.
            clock: Time.
        Raises:
            ConfigError: with all mistakes of the node list, or a secret that cannot be read.
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
        self._credentials = read_credentials(config, folder=folder, name=name)
        self._state_folder = state_folder
        self._clock = clock
        self._link: ControlLink | None = None
        self._certificates: CertificateWatch | None = None
        self._events: EventFeed | None = None
        self._memory: ReceptionMemory | None = None

    async def session(self, sink: Sink, indices: IndexArray) -> None:
        """Subscribe and hand on values until cancelled; see `Connector`."""
        # Made here: asyncua takes half a second and 25 MB that a Modbus gateway does without.
        from connectors.opcua.connect import open_link

        assert len(indices) == len(self.tags)
        certificates = self._watched_certificates(sink)
        news = News(sink, source=self.name, clock=self._clock)
        with CancellationFirst() as cancellation:
            link = await open_link(self._link_settings(certificates), self._clock)
            dates = asyncio.create_task(_watch_dates(certificates), name=f"dates[{self.name}]")
            try:
                cancellation.check()
                self._link = link
                await self._run(link, sink, indices, news)
            finally:
                self._link = None
                news.close()
                dates.cancel()
                await link.close()
                await asyncio.gather(dates, return_exceptions=True)

    async def write(self, tag: Tag, value: float) -> float:
        """Write one value in engineering units, or call its method; return what is read back."""
        if not tag.writable:
            raise CommandError(f"{tag.id} is not declared writable")
        if self._link is None:
            raise device_error(
                self._device,
                "is not connected",
                check="Write again when it is.",
                expert=f"write {tag.id}",
            )
        row = self._rows[self.tags.index(tag)]
        wanted = (value - tag.offset) / tag.scale
        if row.call is None:
            raw = await self._link.write(row.node, wanted)
        else:
            raw = await self._link.call(row.call, row.node, wanted)
        return raw * tag.scale + tag.offset

    def report(self) -> ConnectorReport:
        """Return what it knows of its own doings."""
        report = self._data_report()
        if self._certificates is None:
            return report
        return replace(
            report,
            certificate_expires_ns=self._certificates.expires_ns,
            untrusted_certificate=self._certificates.untrusted,
        )

    def _data_report(self) -> ConnectorReport:
        """Return what is known of requests and refused nodes."""
        if self._memory is None:
            return ConnectorReport()
        from connectors.opcua.report import report_of

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

    async def _run(
        self, link: "ControlLink", sink: Sink, indices: IndexArray, news: News
    ) -> NoReturn:
        """Divide the tags between subscriptions and polls, and run both."""
        from connectors.opcua.limits import Profile
        from connectors.opcua.plan import divide, wishes_of
        from connectors.opcua.poller import PollSurroundings
        from connectors.opcua.polls import Polls
        from connectors.opcua.reception import ReceptionMemory
        from connectors.opcua.subscribe import Subscriber, Surroundings

        config = self._config
        await link.refresh_namespaces()
        traits = await link.learn(Profile(config.profile))
        if self._memory is None:
            self._memory = ReceptionMemory()
        greeting, reception = Greeting(sink), self._reception(sink, indices, self._memory, news)
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
        others = [self._healer(link, sink, indices).run(), news.run()]
        events = self._event_feed()
        if division.plans or events is not None:
            around = Surroundings(
                name=self.name,
                device=self._device,
                link=link,
                sink=sink,
                indices=indices,
                greeting=greeting,
                reception=reception,
                polls=polls,
                events=events,
                silence_s_max=config.silence_s_max,
                node_retry_s=config.node_retry_s,
                stop_s=config.stop_s,
                clock=self._clock,
            )
            others.append(Subscriber(division.plans, around).run())
        await polls.run_beside(others)

    def _reception(
        self, sink: Sink, indices: IndexArray, memory: "ReceptionMemory", news: News
    ) -> "Reception":
        from connectors.opcua.reception import Reception, ReceptionRules

        config = self._config
        return Reception(
            names=[tag.id for tag in self.tags],
            indices=indices,
            elements={
                handle: row.element
                for handle, row in enumerate(self._rows)
                if row.element is not None
            },
            rates_hz={
                handle: row.rate_hz
                for handle, row in enumerate(self._rows)
                if row.rate_hz is not None
            },
            rules=ReceptionRules(
                uses_source_time=config.time == "source",
                source_ahead_ns_max=round(config.source_ahead_s_max * NS_PER_S),
            ),
            memory=memory,
            sink=sink,
            news=news,
            name=self.name,
            clock=self._clock,
        )

    def _healer(self, link: "ControlLink", sink: Sink, indices: IndexArray) -> "Healer":
        from connectors.opcua.history import Healer

        return Healer(
            link,
            sink,
            # A history has whole arrays, and no elements; of a waveform it has no times.
            [
                row.node if row.element is None and row.rate_hz is None else None
                for row in self._rows
            ],
            indices,
            settings=self._config,
            device=self._device,
            clock=self._clock,
        )

    def _event_feed(self) -> "EventFeed | None":
        """Return what hears events; it remembers over all sessions what was told."""
        from connectors.opcua.event_feed import EventFeed

        config = self._config
        if self._events is None and config.events is not None:
            self._events = EventFeed(
                self.name,
                config.events,
                publishing_ms=config.publishing_ms,
                keep_alive_s=config.keep_alive_s,
                clock=self._clock,
            )
        return self._events

    def _watched_certificates(self, sink: Sink) -> "CertificateWatch":
        """Return what is known of the certificates, telling this session's sink."""
        from connectors.opcua.certificates import CertificateWatch

        if self._certificates is None:
            self._certificates = CertificateWatch(
                self.name,
                folder=self._state_folder,
                warning_days=self._config.certificate_warning_days,
                clock=self._clock,
            )
        self._certificates.listen(sink.note)
        return self._certificates

    def _link_settings(self, certificates: "CertificateWatch") -> "LinkSettings":
        from connectors.opcua.client import Decode
        from connectors.opcua.connect import LinkSettings
        from connectors.opcua.trust import Trust

        config = self._config
        return LinkSettings(
            device=self._device,
            name=self.name,
            endpoint=config.endpoint,
            security=config.security,
            mode=config.mode,
            credentials=self._credentials,
            trust=Trust(config.trust),
            certificates=certificates,
            folder=self._state_folder,
            timeout_s=config.timeout_s,
            decode=Decode(config.decode),
        )


async def _watch_dates(certificates: "CertificateWatch") -> None:
    """Look at the certificates' dates now and then, until cancelled."""
    while True:
        await asyncio.sleep(DATES_S)
        certificates.check_dates()
