"""Messages for people and machines: structlog, JSON where nobody watches."""

import logging
import sys

import structlog


def set_up_messages() -> None:
    """Send messages to standard error: coloured lines on a terminal, JSON lines elsewhere.

    Called once, by a command that runs a service. Libraries may speak from warnings upwards.
    """
    on_terminal = sys.stderr.isatty()
    renderer = (
        structlog.dev.ConsoleRenderer() if on_terminal else structlog.processors.JSONRenderer()
    )
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        logger_factory=structlog.PrintLoggerFactory(file=sys.stderr),
        cache_logger_on_first_use=True,
    )
    logging.basicConfig(stream=sys.stderr, level=logging.WARNING, format="%(name)s: %(message)s")
    _silence_libraries()


def silence_messages() -> None:
    """Send no messages at all; called once, by a command whose answer says everything."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    _silence_libraries()


def _silence_libraries() -> None:
    # They report each lost connection with a traceback; we report it once, with a remedy.
    for library in ("asyncua", "pymodbus", "mqtt"):
        logging.getLogger(library).setLevel(logging.CRITICAL)
