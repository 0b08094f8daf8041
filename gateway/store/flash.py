"""How many bytes the log has written, as the kernel counts them for the thread that writes it.

Counted are the pages of files that the thread made dirty (`write_bytes` of proc(5), in
/proc/PID/task/TID/io): those of the write-ahead log with each commit, and those of the database
when the former is folded into it. The log syncs each commit, so a page that is written twice
counts twice, as on the flash. Not counted is what the file system and the flash write for
themselves: the journal, and the rest of an erase block. Memory file systems count nothing.
"""

from pathlib import Path

_FIELD = "write_bytes:"


def written_bytes(thread_id: int) -> int | None:
    """Return the bytes that a thread of this process has written since it began.

    Args:
        thread_id: As the system knows it.
    Returns:
        None when the thread has ended, or the system does not tell.
    """
    try:
        text = Path(f"/proc/self/task/{thread_id}/io").read_text(encoding="ascii")
    except OSError:
        return None
    found = [line.split() for line in text.splitlines()]
    return next((int(words[1]) for words in found if words[:1] == [_FIELD]), None)
