"""What holds for all tests."""

import os
import signal
from collections.abc import Iterator

# Before numpy is imported anywhere: pools of threads that spin while other tests run on the same
# two cores make small products of matrices many times slower.
for _pool in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(_pool, "1")

import pytest  # noqa: E402  # after the pools
import structlog  # noqa: E402

# Whoever starts the tests in the background of a shell has Ctrl-C ignored, and so would every
# command that a test starts: those that end by Ctrl-C would not.
signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(autouse=True)
def own_messages() -> Iterator[None]:
    """Undo what a command that a test ran has set for its messages: others look at theirs."""
    before = structlog.get_config()
    yield
    structlog.configure(**before)
