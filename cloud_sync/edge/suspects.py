"""Finding the poisoned record of a refused batch by halving it. Pure."""

from collections.abc import Sequence

from gateway.core.records import Record, Seq


class Suspects:
    """Knows among which records a poisoned one must be; n records take about log2(n) attempts."""

    def __init__(self) -> None:
        """Begin without suspicion."""
        self._end: Seq | None = None

    def narrow(self, records: Sequence[Record]) -> Sequence[Record]:
        """Return what to send of the records at the cursor: half of the suspects, if any."""
        suspects = [
            record for record in records if self._end is not None and record.seq <= self._end
        ]
        if not suspects:
            # None, or they were sealed into a block or dropped meanwhile.
            self._end = None
            return records
        return suspects[: (len(suspects) + 1) // 2]

    def refused(self, records: Sequence[Record]) -> Record | None:
        """Note a refused batch; returns the poisoned record once it stands alone."""
        if len(records) > 1:
            self._end = records[-1].seq
            return None
        self._end = None
        return records[0]

    def passed(self, cursor: Seq) -> None:
        """Note that the far end has everything up to here."""
        if self._end is not None and cursor >= self._end:
            self._end = None
