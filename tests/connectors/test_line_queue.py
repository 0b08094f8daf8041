"""Whose turn it is on a line, compared with a list that is searched each time."""

from dataclasses import dataclass

from hypothesis import given
from hypothesis import strategies as st

from connectors.modbus.exchange import Exchange, Request
from connectors.modbus.line_queue import LineQueue, Waiting

REQUEST = Request(b"\x03", 2)


def waiting(priority: int, since_s: float, *, exchange: Exchange | None = None) -> Waiting:
    return Waiting(
        exchange=exchange or Exchange(1),
        position=0,
        request=REQUEST,
        priority=priority,
        since_s=since_s,
    )


def anyone(owner: str) -> bool:
    return True


@dataclass
class NaiveQueue:
    """All that waits, in the order it came."""

    entries: list[tuple[str, Waiting]]
    turns: dict[str, int]
    turn: int = 0

    def take(self, now_s: float) -> tuple[str, Waiting] | None:
        heads: dict[str, Waiting] = {}
        for owner, each in self.entries:
            best = heads.get(owner)
            if best is None or self.goes_before(each, best):
                heads[owner] = each
        if not heads:
            return None
        urgent = [owner for owner, head in heads.items() if head.priority == 0]
        overdue = [owner for owner, head in heads.items() if head.due_s <= now_s]
        if urgent:
            owner = min(urgent, key=lambda each: self.turns.get(each, 0))
        elif overdue:
            owner = min(overdue, key=lambda each: (heads[each].due_s, self.turns.get(each, 0)))
        else:
            owner = min(heads, key=lambda each: (heads[each].priority, self.turns.get(each, 0)))
        self.turn += 1
        self.turns[owner] = self.turn
        self.entries = [(who, each) for who, each in self.entries if each is not heads[owner]]
        return owner, heads[owner]

    @staticmethod
    def goes_before(one: Waiting, other: Waiting) -> bool:
        if (one.priority == 0) != (other.priority == 0):
            return one.priority == 0
        return one.due_s < other.due_s


ACTIONS = st.lists(
    st.one_of(
        st.tuples(st.sampled_from("abc"), st.sampled_from([0, 10, 100, 1000])),
        st.just(("take", 0)),
    ),
    max_size=60,
)


@given(ACTIONS, st.lists(st.sampled_from([0.001, 0.02, 0.3]), min_size=60, max_size=60))
def test_the_order_is_that_of_the_naive_queue(
    actions: list[tuple[str, int]], steps_s: list[float]
) -> None:
    queue, naive = LineQueue[str](), NaiveQueue([], {})
    now_s = 0.0
    for (what, priority), step_s in zip(actions, steps_s, strict=False):
        now_s += step_s
        if what == "take":
            expected, taken = naive.take(now_s), queue.take(now_s, anyone)
            # Units that never had a turn are equal; which of them begins is left open.
            if expected is not None and taken is not None and expected[0] != taken[0]:
                assert expected[1].priority == taken[1].priority
                return
            assert taken == expected
        else:
            each = waiting(priority, now_s)
            queue.push(what, each)
            naive.entries.append((what, each))


def test_a_short_scan_waits_for_one_request_of_a_long_one() -> None:
    queue = LineQueue[str]()
    for _ in range(50):
        queue.push("long", waiting(1000, 0.0))
    queue.push("short", waiting(1000, 0.001))
    order = [taken[0] for _ in range(3) if (taken := queue.take(0.01, anyone))]
    assert order == ["long", "short", "long"]


def test_a_slow_period_is_not_starved_by_a_fast_one_that_fills_the_line() -> None:
    """A unit with always something to read at 100 ms, another at 1000 ms: it waits 1 s, no more."""
    queue = LineQueue[str]()
    queue.push("slow", waiting(1000, 0.0))
    now_s = 0.0
    while True:
        queue.push("fast", waiting(100, now_s))
        queue.push("fast", waiting(100, now_s))
        now_s += 0.05
        taken = queue.take(now_s, anyone)
        assert taken is not None
        if taken[0] == "slow":
            break
        assert now_s < 5.0
    assert 0.9 < now_s < 5.0


def test_whoever_may_not_go_is_passed_over() -> None:
    queue = LineQueue[str]()
    queue.push("a", waiting(10, 0.0))
    queue.push("b", waiting(1000, 0.0))
    taken = queue.take(0.0, lambda owner: owner != "a")
    assert taken is not None
    assert taken[0] == "b"
    assert queue.take(0.0, lambda owner: owner != "a") is None


def test_what_is_withdrawn_or_removed_is_gone() -> None:
    queue = LineQueue[str]()
    kept, withdrawn = Exchange(1), Exchange(1)
    queue.push("a", waiting(10, 0.0, exchange=withdrawn))
    queue.push("a", waiting(10, 0.0, exchange=kept))
    queue.push("b", waiting(10, 0.0))
    queue.withdraw(withdrawn)
    assert withdrawn.is_complete
    assert queue.waiting_count("a") == 1
    assert [each.exchange for each in queue.remove("a")] == [kept]
    assert queue.waiting_count("a") == 0
    assert queue.waiting_count("b") == 1
