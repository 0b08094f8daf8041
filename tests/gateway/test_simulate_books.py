"""The books: every offer is on file at once, and survives a kill and a restart."""

from pathlib import Path

import pytest

from gateway.core.errors import StoreError
from gateway.core.tags import TagId
from gateway.simulate.books import OfferedBook, Service, read_offered

TAGS = (TagId("pumps.a"), TagId("pumps.b"))


def test_an_offer_is_read_back_at_once(tmp_path: Path) -> None:
    path = tmp_path / "a.book"
    book = OfferedBook(path, connector="pumps", tags=TAGS)
    book.offer([1, 0, 1], [10, 20, 30], offered_ns=40, service=Service.READ, poll_count=7)
    book.offer([], [], offered_ns=41, service=Service.READ)
    offered = read_offered(path)
    assert offered.connector == "pumps"
    assert offered.tags == TAGS
    assert offered.tag_index.tolist() == [1, 0, 1]
    assert offered.time_ns.tolist() == [10, 20, 30]
    assert offered.offered_ns.tolist() == [40, 40, 40]
    assert offered.poll_count.tolist() == [7, 7, 7]
    assert book.counts() == {"pumps.a": 1, "pumps.b": 2}
    assert book.count == 3
    book.close()


def test_a_book_goes_on_after_a_kill(tmp_path: Path) -> None:
    """The torn entry of a kill is cut off, everything before it stays and counts."""
    path = tmp_path / "a.book"
    book = OfferedBook(path, connector="pumps", tags=TAGS)
    book.offer([0, 1], [10, 20], offered_ns=30, service=Service.READ)
    book.close()
    with path.open("ab") as file:
        file.write(b"\x01\x02\x03")
    assert read_offered(path).tag_index.tolist() == [0, 1]
    again = OfferedBook(path, connector="pumps", tags=TAGS)
    assert again.count == 2
    again.offer([1], [40], offered_ns=50, service=Service.PUBLISH)
    again.close()
    assert read_offered(path).time_ns.tolist() == [10, 20, 40]
    assert read_offered(path).service.tolist() == [Service.READ, Service.READ, Service.PUBLISH]


def test_a_book_of_other_tags_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.book"
    OfferedBook(path, connector="pumps", tags=TAGS).close()
    with pytest.raises(StoreError, match="use another state folder"):
        OfferedBook(path, connector="pumps", tags=TAGS[:1])


@pytest.mark.parametrize(
    "content", [b"", b"nonsense\n", b'{"book": 1, "connector": "a", "tags": []}\n']
)
def test_what_is_no_book_is_told(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "a.book"
    path.write_bytes(content)
    with pytest.raises(StoreError, match=r"a\.book"):
        read_offered(path)
