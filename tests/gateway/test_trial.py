"""The verdict on a configuration, against a slow and plain reckoning of the same rule."""

from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st

from gateway.core.tags import TagId
from gateway.trial import LOOK_S, ApplySettings, PlantHealth, Trial, Verdict

S = 1_000_000_000
QUICK = ApplySettings(hold_off_s=2, window_s=5, drop_max=0.1)


def health(
    tags: Sequence[bool | None], devices: Sequence[bool] = (True,), *, new: Sequence[bool] = ()
) -> PlantHealth:
    names = [f"d{k}" for k in range(len(devices))] + [f"new{k}" for k in range(len(new))]
    return PlantHealth(
        devices=dict(zip(names, [*devices, *new], strict=True)),
        tags={TagId(f"d0.t{k}"): tag for k, tag in enumerate(tags)},
    )


def judged(
    settings: ApplySettings, before: PlantHealth, looks: Sequence[PlantHealth]
) -> tuple[Verdict | None, int]:
    """Return the verdict and the number of looks it took, one look a second."""
    trial = Trial(settings, before, now_ns=0)
    for count, look in enumerate(looks, 1):
        verdict = trial.look(look, now_ns=int(count * LOOK_S * S))
        if verdict is not None:
            return verdict, count
    return None, len(looks)


def test_what_is_as_before_stays_at_the_end_of_the_window() -> None:
    verdict, count = judged(QUICK, health([True, False]), [health([True, False])] * 20)
    assert verdict is not None
    assert verdict.is_kept
    assert count == QUICK.trial_s
    assert "50.0% of the tags Good, before 50.0%" in verdict.text


def test_the_hold_off_does_not_count() -> None:
    looks = [health([False, False], [False])] + [health([True, True])] * 9
    verdict, _ = judged(QUICK, health([True, True]), looks)
    assert verdict is not None
    assert verdict.is_kept


def test_a_trial_that_cannot_end_well_ends_at_once() -> None:
    verdict, count = judged(QUICK, health([True] * 4), [health([False] * 4)] * 20)
    assert verdict is not None
    assert not verdict.is_kept
    assert count == 2
    assert "0.0% of the tags Good, before 100.0%" in verdict.text
    assert "10.0% less is allowed" in verdict.text


def test_tags_that_went_came_or_said_nothing_do_not_count() -> None:
    """One tag of the two is gone, one is new and Bad, one says nothing."""
    before = health([True, True, True])
    after = PlantHealth(
        devices={"d0": True},
        tags={TagId("d0.t0"): True, TagId("d0.t1"): None, TagId("d0.new"): False},
    )
    verdict, _ = judged(QUICK, before, [after] * 20)
    assert verdict is not None
    assert verdict.is_kept


def test_a_new_device_must_be_connected_at_the_end() -> None:
    before = health([True])
    late = [health([True], new=[False])] * 6 + [health([True], new=[True])] * 2
    verdict, _ = judged(QUICK, before, late)
    assert verdict is not None
    assert verdict.is_kept
    verdict, _ = judged(QUICK, before, [health([True], new=[False])] * 20)
    assert verdict is not None
    assert not verdict.is_kept
    assert "new, and not connected: new0" in verdict.text


def test_bad_tags_do_not_count_where_only_devices_do() -> None:
    settings = QUICK.model_copy(update={"metric": "connected_devices"})
    verdict, _ = judged(settings, health([True]), [health([False])] * 20)
    assert verdict is not None
    assert verdict.is_kept
    verdict, _ = judged(settings, health([True]), [health([True], [False])] * 20)
    assert verdict is not None
    assert not verdict.is_kept


@given(
    before=st.lists(st.booleans(), min_size=1, max_size=6),
    window=st.lists(st.lists(st.booleans(), min_size=6, max_size=6), min_size=6, max_size=6),
    drop_max=st.sampled_from([0.0, 0.1, 0.3, 0.5]),
)
def test_an_early_verdict_is_that_of_the_whole_window(
    before: list[bool], window: list[list[bool]], drop_max: float
) -> None:
    """The mean of all drops decides, and no look at the rest could have changed it."""
    settings = ApplySettings(hold_off_s=0, window_s=5, drop_max=drop_max)
    count = len(before)
    # The first look is at the first second: five in the window.
    looks = [tags[:count] for tags in window[:5]]
    share_before = sum(before) / count
    drop = sum(share_before - sum(look) / count for look in looks) / len(looks)
    verdict, _ = judged(settings, health(before), [health(look) for look in looks])
    assert verdict is not None
    if abs(drop - drop_max) > 1e-9:  # sums in another order differ in the last digit
        assert verdict.is_kept == (drop < drop_max)
