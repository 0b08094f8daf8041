"""Eclipse Tahu's `sparkplug-payload`, as an oracle for payloads and as an edge node's voice."""

import json
import os
import subprocess
from base64 import b64decode, b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from tests.interop.peers import NODE_MODULES, node_script

JsonObject = dict[str, Any]
"""As the package writes payloads; see `sparkplug_node.js`."""


class SparkplugPackage:
    """A running script that answers one line with one line."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self._process = process
        assert self._read() == "ready\n"

    def encode(self, payload: JsonObject) -> bytes:
        """Return a payload as the package encodes it."""
        return b64decode(self._ask({"encode": payload})["bytes"])

    def decode(self, data: bytes) -> JsonObject:
        """Return a payload as the package reads it; `error` stands in it when it cannot."""
        answer = self._ask({"decode": b64encode(data).decode()})
        payload = answer.get("payload", answer)
        assert isinstance(payload, dict)
        return payload

    def _ask(self, question: JsonObject) -> JsonObject:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(question) + "\n")
        self._process.stdin.flush()
        answer = json.loads(self._read())
        assert isinstance(answer, dict)
        return answer

    def _read(self) -> str:
        assert self._process.stdout is not None
        return self._process.stdout.readline()


@contextmanager
def sparkplug_package() -> Iterator[SparkplugPackage]:
    """Run the script until the block ends."""
    environment = os.environ | {"NODE_PATH": str(NODE_MODULES)}
    with subprocess.Popen(
        node_script("sparkplug_node.js"),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=environment,
    ) as process:
        try:
            yield SparkplugPackage(process)
        finally:
            process.kill()
