"""Puts each connector into its supervisor, with the book of its gaps where it heals them."""

from connectors.opcua.connector import OpcuaConfig
from gateway.config import Config
from gateway.core.gaps import GapBook
from gateway.core.ports import Clock, Intake
from gateway.core.tags import TagTable
from gateway.service.build import Parts
from gateway.store import RecordLog
from gateway.supervisor import DeviceSupervisor
from gateway.wire.backoff import Backoff

RETRY_FIRST_S = 0.5
RETRY_CAP_S = 15.0
HEALTHY_S = 60.0


def device_supervisors(
    config: Config, parts: Parts, table: TagTable, store: RecordLog, intake: Intake, *, clock: Clock
) -> tuple[tuple[DeviceSupervisor, ...], dict[str, GapBook]]:
    """Return a supervisor for each connector, in their order, and the books of their gaps."""
    opening = store.opening
    unheard_ns = None if opening.was_clean else opening.opened_ns
    books = _gap_books(config, parts, table)
    supervisors = tuple(
        DeviceSupervisor(
            connector,
            indices=table.indices([tag.id for tag in connector.tags]),
            intake=intake,
            clock=clock,
            backoff=Backoff(first_s=RETRY_FIRST_S, cap_s=RETRY_CAP_S, healthy_s=HEALTHY_S),
            book=books.get(connector.name),
            unheard_ns=unheard_ns,
        )
        for connector in parts.connectors
    )
    return supervisors, books


def _gap_books(config: Config, parts: Parts, table: TagTable) -> dict[str, GapBook]:
    """Return a book for each connector that reads a history, by its name."""
    books: dict[str, GapBook] = {}
    for connector in parts.connectors:
        settings = config.connectors[connector.name]
        if isinstance(settings, OpcuaConfig) and settings.history == "heal":
            tags = [tag.id for tag in connector.tags]
            books[connector.name] = GapBook(connector.name, tags, table.indices(tags))
    return books
