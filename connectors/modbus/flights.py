"""The requests of a connection that are on the wire, or were given up and may be answered yet."""

import math
from collections.abc import Mapping
from typing import NamedTuple

from connectors.modbus.exchange import Exchange
from connectors.modbus.framing import Asked
from connectors.modbus.unit_client import UnitClient

EXPIRED_MAX = 64
"""Requests given up whose late answers are still known."""


class Flight(NamedTuple):
    """A request on the wire, or one given up."""

    client: UnitClient
    asked: Asked
    exchange: Exchange
    position: int
    """Place in the exchange's group."""
    sent_s: float
    """When, on the monotonic clock."""
    transmission_s: float
    """What the bytes themselves take on a serial line, both ways."""
    limit_s: float
    """How long the unit may think."""
    deadline_s: float
    """When the unit has had its time: what the bytes take, and the limit."""
    is_repeat: bool
    """Whether its first answer came damaged."""


class Flights:
    """Numbers them, and finds them again by their numbers."""

    def __init__(self) -> None:
        """Begin with none."""
        self._number = 0
        self._on_wire: dict[int, Flight] = {}
        self._expired: dict[int, Flight] = {}
        self._asked: dict[int, Asked] = {}

    def __len__(self) -> int:
        """Return how many are on the wire."""
        return len(self._on_wire)

    @property
    def asked(self) -> Mapping[int, Asked]:
        """What may be answered: what is on the wire, and what was given up."""
        return self._asked

    def launch(self, flight: Flight) -> int:
        """Put a request on the wire and return its number."""
        # Far fewer are open than there are numbers, so one is free again long before it returns.
        self._number = (self._number + 1) & 0xFFFF
        self._on_wire[self._number] = flight
        self._asked[self._number] = flight.asked
        flight.client.in_flight_count += 1
        return self._number

    def on_wire(self, number: int) -> Flight | None:
        """Return a request on the wire; None when it was given up."""
        return self._on_wire.get(number)

    def land(self, number: int) -> tuple[Flight, bool]:
        """Take a request out, and return it, and whether it was given up before."""
        del self._asked[number]
        if number in self._expired:
            return self._expired.pop(number), True
        flight = self._on_wire.pop(number)
        flight.client.in_flight_count -= 1
        return flight, False

    def give_up_overdue(self, now_s: float) -> list[Flight]:
        """Take those off the wire that have had their time; their answers are still known."""
        overdue = [number for number, each in self._on_wire.items() if each.deadline_s <= now_s]
        flights = []
        for number in overdue:
            flight = self._on_wire.pop(number)
            flight.client.in_flight_count -= 1
            self._expired[number] = flight
            flights.append(flight)
            if len(self._expired) > EXPIRED_MAX:
                oldest = next(iter(self._expired))
                del self._expired[oldest], self._asked[oldest]
        return flights

    def forget_expired(self, unit: int) -> None:
        """Forget what was given up of a unit."""
        for number in [n for n, each in self._expired.items() if each.asked.unit == unit]:
            del self._expired[number], self._asked[number]

    def next_deadline_s(self) -> float:
        """Return when the first of those on the wire has had its time; infinite without any."""
        return min((each.deadline_s for each in self._on_wire.values()), default=math.inf)

    def exchanges_of(self, client: UnitClient) -> list[Exchange]:
        """Return the exchanges of a session that may wait for an answer."""
        flights = (*self._on_wire.values(), *self._expired.values())
        return [each.exchange for each in flights if each.client is client]

    def clear(self) -> list[Flight]:
        """Forget them all, and return those that were on the wire."""
        flights = list(self._on_wire.values())
        self._on_wire.clear()
        self._expired.clear()
        self._asked.clear()
        return flights
