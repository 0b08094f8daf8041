"""Who is at the other end of the Unix socket, as the kernel vouches for it."""

import pwd
import socket
import struct

_CREDENTIALS = struct.Struct("3i")
"""`struct ucred` of Linux: pid, uid, gid."""


def operator_of(connection: socket.socket) -> str:
    """Return the name of the user who connected; `uid 1234` where the system knows no name."""
    answer = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
    _pid, uid, _gid = _CREDENTIALS.unpack(answer)
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"uid {uid}"
