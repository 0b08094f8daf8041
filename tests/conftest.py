"""What holds for all tests."""

import signal

# Whoever starts the tests in the background of a shell has Ctrl-C ignored, and so would every
# command that a test starts: those that end by Ctrl-C would not.
signal.signal(signal.SIGINT, signal.default_int_handler)
