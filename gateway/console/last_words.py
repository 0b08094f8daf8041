"""What systemd knows of a service that does not answer."""

import asyncio
import shutil

SERVICE = "edgewright.service"
TIMEOUT_S = 3.0
_PROPERTIES = ("LoadState", "ActiveState", "SubState", "Result", "ExecMainStatus", "NRestarts")


async def last_words(service: str = SERVICE) -> str:
    """Return one sentence about the service; empty where systemd knows nothing of it."""
    systemctl = shutil.which("systemctl")
    if systemctl is None:
        return ""
    answer = await _run(systemctl, "show", service, f"--property={','.join(_PROPERTIES)}")
    return describe(dict(line.partition("=")[::2] for line in answer.splitlines()))


def describe(properties: dict[str, str]) -> str:
    """Return the sentence that a unit's properties make; empty where there is no unit."""
    if properties.get("LoadState") != "loaded":
        return ""
    words = f"{properties['ActiveState']} ({properties['SubState']})"
    if properties.get("Result", "success") != "success":
        words += f", {properties['Result']}, exit code {properties['ExecMainStatus']}"
    if properties.get("NRestarts", "0") != "0":
        words += f", restarted {properties['NRestarts']} times"
    return words


async def _run(*command: str) -> str:
    process = await asyncio.create_subprocess_exec(
        *command, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL
    )
    try:
        async with asyncio.timeout(TIMEOUT_S):
            output, _ = await process.communicate()
    except TimeoutError:
        process.kill()
        await process.wait()
        return ""
    return output.decode(errors="replace")
