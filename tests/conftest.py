"""What holds for all tests."""

import signal
from collections.abc import Iterator

import pytest
import structlog

# Whoever starts the tests in the background of a shell has Ctrl-C ignored, and so would every
# command that a test starts: those that end by Ctrl-C would not.
signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(autouse=True)
def own_messages() -> Iterator[None]:
    """Undo what a command that a test ran has set for its messages: others look at theirs."""
    before = structlog.get_config()
    yield
    structlog.configure(**before)
