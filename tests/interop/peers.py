"""Starts programs that were not written here, and tells when they are ready.

Each prints one line `ready ...` when it serves; what follows the word is for the test, such as the
port. It ends with the context, whatever happens.
"""

import asyncio
import os
import shutil
import subprocess
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest

HERE = Path(__file__).parent
NODE_MODULES = HERE.parent.parent / ".cache" / "interop" / "node_modules"
READY_S = 30.0

needs_node = pytest.mark.skipif(
    shutil.which("node") is None or not NODE_MODULES.is_dir(),
    reason="needs node and `make .cache/interop/ready`",
)

needs_libmodbus = pytest.mark.skipif(
    shutil.which("gcc") is None or not Path("/usr/include/modbus/modbus.h").exists(),
    reason="needs gcc and libmodbus-dev",
)


@asynccontextmanager
async def running_peer(command: Sequence[str]) -> AsyncIterator[list[str]]:
    """Run a program until the block ends; gives the words behind `ready`."""
    process = await asyncio.create_subprocess_exec(
        *command,
        stdout=subprocess.PIPE,
        env=os.environ | {"NODE_PATH": str(NODE_MODULES)},
    )
    try:
        async with asyncio.timeout(READY_S):
            words = await _ready_words(process)
        yield words
    finally:
        with suppress(ProcessLookupError):
            process.kill()
        await process.wait()


def node_script(name: str, *arguments: str) -> list[str]:
    """Return the command that runs a script of this folder with Node.js."""
    return ["node", str(HERE / name), *arguments]


def compiled(name: str, folder: Path, *libraries: str) -> Path:
    """Compile a C program of this folder and return its path."""
    program = folder / Path(name).stem
    flags = ["-O2", "-Wall", "-o", str(program)]
    subprocess.run(
        ["gcc", *flags, str(HERE / name), *(f"-l{library}" for library in libraries)], check=True
    )
    return program


async def _ready_words(process: asyncio.subprocess.Process) -> list[str]:
    assert process.stdout is not None
    while line := await process.stdout.readline():
        words = line.decode(errors="replace").split()
        if words[:1] == ["ready"]:
            return words[1:]
    raise AssertionError("the program ended before it was ready")
