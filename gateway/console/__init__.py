"""The console: what a technician sees, in a terminal, on the local API.

`gateway.console.app` holds the app; it is not imported here, because the commands use the
formatting alone and need no terminal UI for it.
"""

__all__: list[str] = []
