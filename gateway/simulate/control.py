"""The control interface of a running simulation: HTTP on a Unix socket in the state folder.

GET    /status                      time, values, faults, states of the servers
GET    /offered                     what the servers have offered, by connector and tag
POST   /faults                      a fault as in a scenario; its onset counts from now
DELETE /faults                      repair everything
POST   /servers/{name}/{action}     kill, hang, refuse or restore `opcua` or `modbus`
"""

import dataclasses
from pathlib import Path
from types import TracebackType

from aiohttp import web
from pydantic import ValidationError

from gateway.core.errors import ConfigError
from gateway.simulate.faults import Fault, FaultKind
from gateway.simulate.scenario import FaultSettings
from gateway.simulate.simulation import Simulation
from gateway.wire.settings_file import mistakes_of

SOCKET_PATH_BYTES_MAX = 107
"""Linux, unix(7): `sun_path` has 108 bytes with the closing zero."""
BODY_BYTES_MAX = 64 * 1024
KIND_OF_ACTION = {
    "kill": FaultKind.SERVER_DIES,
    "hang": FaultKind.SERVER_HANGS,
    "refuse": FaultKind.SERVER_REFUSES,
}


class ControlSite:
    """Serves the interface inside a context."""

    def __init__(self, simulation: Simulation, path: Path) -> None:
        """Prepare.

        Raises:
            ConfigError: the socket's path is too long for the system.
        """
        if len(str(path).encode()) > SOCKET_PATH_BYTES_MAX:
            raise ConfigError(
                f"state: {path} is too long for a socket ({SOCKET_PATH_BYTES_MAX} bytes at most); "
                "choose a shorter folder"
            )
        self._simulation = simulation
        self._path = path
        app = web.Application(client_max_size=BODY_BYTES_MAX)
        app.add_routes(
            [
                web.get("/status", self._status),
                web.get("/offered", self._offered),
                web.post("/faults", self._inject),
                web.delete("/faults", self._repair),
                web.post("/servers/{name}/{action}", self._act),
            ]
        )
        self._runner = web.AppRunner(app, access_log=None)

    async def __aenter__(self) -> "ControlSite":
        """Begin to listen."""
        self._path.unlink(missing_ok=True)
        await self._runner.setup()
        await web.UnixSite(self._runner, str(self._path)).start()
        self._path.chmod(0o600)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Stop listening."""
        await self._runner.cleanup()
        self._path.unlink(missing_ok=True)

    async def _status(self, request: web.Request) -> web.Response:
        simulation = self._simulation
        return web.json_response(
            {
                "elapsed_s": simulation.plant.elapsed_s,
                "values": dict(simulation.plant.values()),
                "faults": [dataclasses.asdict(fault) for fault in simulation.faults],
                "servers": {name: each.state for name, each in simulation.servers.items()},
            }
        )

    async def _offered(self, request: web.Request) -> web.Response:
        books = [server.book for server in self._simulation.servers.values()]
        return web.json_response(
            {book.connector: {"count": book.count, "tags": dict(book.counts())} for book in books}
        )

    async def _inject(self, request: web.Request) -> web.Response:
        try:
            settings = FaultSettings.model_validate_json(await request.read())
        except ValidationError as error:
            return _refusal("; ".join(mistakes_of(error)), "send a fault as in a scenario file")
        fault = settings.fault(from_s=self._simulation.plant.elapsed_s)
        await self._simulation.inject(fault)
        return web.json_response(dataclasses.asdict(fault), status=201)

    async def _repair(self, request: web.Request) -> web.Response:
        await self._simulation.repair()
        return web.json_response({})

    async def _act(self, request: web.Request) -> web.Response:
        name, action = request.match_info["name"], request.match_info["action"]
        simulation = self._simulation
        if name not in simulation.servers:
            return _refusal(f"no server {name!r}", f"use one of {', '.join(simulation.servers)}")
        if action == "restore":
            await simulation.restore(name)
        elif action in KIND_OF_ACTION:
            onset_s = simulation.plant.elapsed_s
            kind = KIND_OF_ACTION[action]
            await simulation.inject(Fault(kind=kind, asset=name, onset_s=onset_s))
        else:
            return _refusal(f"no action {action!r}", "use kill, hang, refuse or restore")
        return web.json_response({"server": name, "state": simulation.servers[name].state})


def _refusal(error: str, remedy: str) -> web.Response:
    return web.json_response({"error": error, "remedy": remedy}, status=400)
