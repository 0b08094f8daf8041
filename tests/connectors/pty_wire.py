"""A serial cable between a connector and a server: two pseudo-terminals, and us in between."""

import asyncio
import os
import tty
from pathlib import Path
from types import TracebackType

from tests.connectors.wire import Wire


class PtyWire(Wire):
    """The connector opens `near_path`, the server `far_path`; cutting it unplugs the near end."""

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self.near_path = folder / "port"
        self._far, self._far_end = _terminal()
        self._near: tuple[int, int] | None = None
        self._is_frozen = False

    @property
    def far_path(self) -> str:
        return os.ttyname(self._far_end)

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.refuse()
        os.close(self._far)
        os.close(self._far_end)

    async def listen(self) -> None:
        """Plug the near end in."""
        self._near = _terminal()
        self.near_path.unlink(missing_ok=True)
        self.near_path.symlink_to(os.ttyname(self._near[1]))
        if not self._is_frozen:
            self._watch()

    async def refuse(self) -> None:
        """Unplug the near end and leave it so."""
        self._unplug()

    def cut(self) -> None:
        """Unplug the near end and plug it in again: what has it open loses it."""
        self._unplug()
        self._near = _terminal()
        self.near_path.symlink_to(os.ttyname(self._near[1]))
        if not self._is_frozen:
            self._watch()

    def freeze(self) -> None:
        """Let nothing pass."""
        self._is_frozen = True
        self._ignore()

    def thaw(self) -> None:
        """Let pass what waited."""
        self._is_frozen = False
        self._watch()

    def _unplug(self) -> None:
        if self._near is None:
            return
        self._ignore()
        self.near_path.unlink()
        for end in self._near:
            os.close(end)
        self._near = None

    def _watch(self) -> None:
        loop = asyncio.get_running_loop()
        assert self._near is not None
        near = self._near[0]
        loop.add_reader(near, lambda: os.write(self._far, os.read(near, 4096)))
        loop.add_reader(self._far, self._pass_down, near)

    def _ignore(self) -> None:
        loop = asyncio.get_running_loop()
        assert self._near is not None
        loop.remove_reader(self._near[0])
        loop.remove_reader(self._far)

    def _pass_down(self, near: int) -> None:
        data = os.read(self._far, 4096)
        if not self.downstream:
            self.downstream.append(bytearray())
        self.downstream[-1].extend(data)
        os.write(near, data)


def _terminal() -> tuple[int, int]:
    """Return both ends of a raw terminal; the second is kept open so that the first never ends."""
    ends = os.openpty()
    tty.setraw(ends[1])
    return ends
