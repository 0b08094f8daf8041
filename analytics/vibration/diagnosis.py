"""Which fault a vibration speaks of: by physics, and by a model where there is one.

Theory. Each fault has a score that is 0 where it begins to be likelier than "none"; the scores
become probabilities together (softmax), so that they exclude each other.

- A bearing's fault scores by how clearly its lines stand out of the envelope (`evidence`).
- A fault of the shaft scores by the velocity of the orders of its pattern: mostly 1x is
  unbalance; much 2x, or any 1x along the shaft, misalignment; many harmonics or halves of them
  looseness (ISO 13373-3). None of them is told of a machine in zone A.

A model knows some of the faults. Those it does not know keep the probability that physics gives
them, and the rest is the model's. A model that never saw a healthy machine says which fault it is,
not whether there is one.
"""

from dataclasses import dataclass
from typing import Final, Protocol, get_args

import numpy as np

from analytics.vibration.evidence import (
    EVIDENCE_DB_MAX,
    FEATURES,
    TURNS_MIN,
    WINDOWS_MAX,
    LineEvidence,
    is_long_enough,
    windows,
)
from analytics.vibration.indicators import (
    DEFECT_NAMES,
    NAMES,
    SHAFT_NAMES,
    Indicators,
    Machine,
    indicators,
)
from analytics.vibration.iso20816 import LIMITS_MM_S, Zone, zone
from gateway.core.arrays import FloatArray, frozen
from gateway.core.vibration_manifest import FaultLabel

FAULTS: Final[tuple[FaultLabel, ...]] = get_args(FaultLabel)
BEARING_FAULTS: Final[tuple[FaultLabel, ...]] = ("inner", "outer", "ball", "cage")
SHAFT_FAULTS: Final[tuple[FaultLabel, ...]] = ("unbalance", "misalignment", "looseness")

CONDITION_COLUMNS: Final = ("strongest_db", "log_kurtosis", "impact_ratio_db")
PATTERN_COLUMNS: Final = ("share_1x", "share_2x", "share_other", "severity_db")
MODEL_COLUMNS: Final = (*FEATURES, *CONDITION_COLUMNS, *PATTERN_COLUMNS)
"""Of the row that a model sees; all in decibels, or on a scale like theirs."""

_NOISE_DB: Final = 1.1
"""Mean evidence of a raceway's or a ball's lines in noise."""
_RAISED_DB: Final = 4.4
"""So far above it a fault becomes likely in one window; noise gets there in one of 200."""
_RAISED_DB_MIN: Final = 1.5
"""The same over any number of windows: more of them average the noise, but not what a machine
always has."""
_CAGE_NOISE_DB: Final = -0.7
_CAGE_RAISED_DB: Final = 9.5
_CAGE_RAISED_DB_MIN: Final = 3.0
"""The cage has one line, and it is also how the load of balls varies."""
_CAGE_BEHIND: Final = 2.0
_STEP_DB: Final = 0.8
"""So much more evidence multiplies the odds by e."""
_SEVERITY_STEP_DB: Final = 2.0
_SHARE_WEIGHT: Final = 8.0
_SCORE_MAX: Final = 12.0
_UNKNOWN: Final = -1.5
"""Score of a fault that cannot be looked for: so "none" is never told with confidence."""
_CLIPPED_MIN: Final = 3
_CLIPPED_SHARE: Final = 0.0005
_SHARES_DB: Final = 20.0
"""A share of 1 on the scale of the evidence."""


class Classifier(Protocol):
    """A model that tells faults from rows."""

    @property
    def labels(self) -> tuple[FaultLabel, ...]:
        """Faults it knows, k."""

    def probabilities(self, rows: FloatArray) -> FloatArray:
        """Return probabilities, shape (n, k), of rows of `MODEL_COLUMNS`, shape (n, m)."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Diagnosis:
    """What a waveform says."""

    fault: FaultLabel
    """The likeliest."""
    probabilities: FloatArray
    """Of `FAULTS`, in that order, shape (8,); they sum to 1. Read-only."""
    indicators: Indicators
    """Means over the windows of the waveform."""
    zone: Zone
    """Of ISO 20816-3, by the velocity."""
    notes: tuple[str, ...]
    """What could not be told, and why."""

    @property
    def confidence(self) -> float:
        """Probability of the fault that is told."""
        return float(self.probabilities.max())

    def probability(self, fault: FaultLabel) -> float:
        """Return the probability of a fault."""
        return float(self.probabilities[FAULTS.index(fault)])


def diagnose(
    acceleration_g: FloatArray,
    rate_hz: float,
    speed_hz: float | None,
    machine: Machine,
    model: Classifier | None = None,
) -> Diagnosis:
    """Tell the fault of a machine from one waveform.

    Args:
        acceleration_g: In g, shape (k,), k >= 16, evenly sampled, finite.
        rate_hz: Samples in a second.
        speed_hz: Turns of the shaft in a second; None, or not above 0, is unknown.
        machine: What is known of it.
        model: On top of physics, where the bearing's lines can be told.
    Raises:
        ValueError: too short, or a sample is not finite.
    """
    found = windowed(acceleration_g, rate_hz, speed_hz, machine)
    notes = (
        *_notes(len(acceleration_g), rate_hz, speed_hz, machine, found),
        *_doubts(acceleration_g),
    )
    by_physics = physics(found, machine)
    probabilities = by_physics
    if model is not None:
        if found.lines is None:
            notes = (*notes, "the model was not asked: it needs the lines of the bearing")
        else:
            row = model_row(found, machine)
            probabilities = _combined(by_physics, model.labels, model.probabilities(row[None])[0])
            if "none" not in model.labels:
                notes = (*notes, "the model never saw a healthy machine: not whether, but which")
    limits_zone = zone(
        found.named("velocity_rms_mm_s"), group=machine.group, foundation=machine.foundation
    )
    return Diagnosis(
        fault=FAULTS[int(probabilities.argmax())],
        probabilities=frozen(probabilities),
        indicators=found,
        zone=limits_zone,
        notes=notes,
    )


def windowed(
    acceleration_g: FloatArray, rate_hz: float, speed_hz: float | None, machine: Machine
) -> Indicators:
    """Return the means of the indicators over windows of ten turns; as `indicators` otherwise."""
    if speed_hz is None or not speed_hz > 0:
        return indicators(acceleration_g, rate_hz, None, machine)
    pieces = windows(acceleration_g, rate_hz=rate_hz, speed_hz=speed_hz)
    each = [indicators(piece, rate_hz, speed_hz, machine) for piece in pieces]
    if len(each) == 1:
        return each[0]
    assert len(each) <= WINDOWS_MAX
    value = np.mean([one.value for one in each], axis=0)
    known = [one.lines for one in each if one.lines is not None]
    lines = None
    if known:
        lines = LineEvidence(
            evidence_db=frozen(np.mean([one.evidence_db for one in known], axis=0)),
            frequency_hz=frozen(np.median([one.frequency_hz for one in known], axis=0)),
            ratio=frozen(np.mean([one.ratio for one in known], axis=0)),
        )
    return Indicators(value=frozen(np.asarray(value)), lines=lines, window_count=len(each))


def physics(found: Indicators, machine: Machine) -> FloatArray:
    """Return the probabilities of `FAULTS` by physics alone, shape (8,)."""
    scores = np.full(len(FAULTS), _UNKNOWN)
    scores[FAULTS.index("none")] = 0.0
    if found.lines is not None:
        for fault, score in zip(BEARING_FAULTS, _bearing_scores(found), strict=True):
            scores[FAULTS.index(fault)] = score
    if np.isfinite(found.named("shaft_1x_mm_s")):
        for fault, score in zip(SHAFT_FAULTS, _shaft_scores(found, machine), strict=True):
            scores[FAULTS.index(fault)] = score
    odds = np.exp(np.minimum(scores, _SCORE_MAX))
    return np.asarray(odds / odds.sum())


def model_row(found: Indicators, machine: Machine) -> FloatArray:
    """Return what a model sees of the indicators, in the order of `MODEL_COLUMNS`, shape (19,).

    NaN where something is not known: the model has values of its own for that.
    """
    defects = found.value[NAMES.index(DEFECT_NAMES[0]) :]
    first = [defects[FEATURES.index(name)] for name in ("inner", "outer", "ball", "cage")]
    kurtosis = found.named("kurtosis")
    condition = [
        np.max(first),
        10 * np.log10(kurtosis) if kurtosis > 0 else np.nan,
        found.named("impact_ratio_db"),
    ]
    shares, severity_db = _pattern(found, machine)
    return np.concatenate((defects, condition, shares * _SHARES_DB, [severity_db]))


def _bearing_scores(found: Indicators) -> tuple[float, float, float, float]:
    """Return the scores of inner, outer, ball and cage."""
    level = dict(zip(DEFECT_NAMES, found.value[-len(DEFECT_NAMES) :].tolist(), strict=True))
    inner = (2 * level["inner_db"] + level["inner_second_db"] + level["inner_sidebands_db"]) / 4
    outer = (2 * level["outer_db"] + level["outer_second_db"]) / 3
    around = max(level["ball_sidebands_db"], level["ball_half_db"])
    ball = (2 * level["ball_db"] + level["ball_second_db"] + around) / 4
    root = np.sqrt(found.window_count)
    likely = _NOISE_DB + max(_RAISED_DB_MIN, _RAISED_DB / root)
    scores = [(each - likely) / _STEP_DB for each in (inner, outer, ball)]
    likely_cage = _CAGE_NOISE_DB + max(_CAGE_RAISED_DB_MIN, _CAGE_RAISED_DB / root)
    cage = (level["cage_db"] - max(inner, outer, ball) - likely_cage) / _STEP_DB
    # A ball's blows vary with the cage: where anything else is likely, the cage is not to blame.
    highest = max(scores)
    if highest > 0:
        cage = min(cage, highest - _CAGE_BEHIND)
    return scores[0], scores[1], scores[2], cage


def _pattern(found: Indicators, machine: Machine) -> tuple[FloatArray, float]:
    """Return the shares of 1x, 2x and the rest in the shaft's power, and how strong it is.

    The strength is in decibels above the limit of zone A, cut at 20 to both sides.
    """
    half, first, second, third, higher, _ = (found.named(name) for name in SHAFT_NAMES)
    powers = np.array([first**2, second**2, half**2 + third**2 + higher**2])
    total = float(powers.sum())
    if not total > 0:
        return np.zeros(3), -EVIDENCE_DB_MAX
    limit = LIMITS_MM_S[machine.group, machine.foundation].a
    severity_db = 20 * np.log10(np.sqrt(total) / limit)
    return powers / total, float(np.clip(severity_db, -EVIDENCE_DB_MAX, EVIDENCE_DB_MAX))


def _shaft_scores(found: Indicators, machine: Machine) -> tuple[float, float, float]:
    """Return the scores of unbalance, misalignment and looseness."""
    (first, second, other), severity_db = _pattern(found, machine)
    base = min(severity_db / _SEVERITY_STEP_DB, _SCORE_MAX / 2)
    # Below the limit of zone A "none" stays the likelier, whatever the pattern is.
    highest = np.inf if severity_db > 0 else severity_db
    many = max(0.0, found.named("shaft_harmonics") - 4)
    looseness = base + _SHARE_WEIGHT * (other - 0.2) + many
    if machine.axis == "axial":
        unbalance = base - 3
        misalignment = base + _SHARE_WEIGHT * (first + second - 0.75)
    else:
        unbalance = base + _SHARE_WEIGHT * (first - 0.75)
        misalignment = base + _SHARE_WEIGHT * (second - 0.15 - max(0.0, other - 0.2))
    return min(unbalance, highest), min(misalignment, highest), min(looseness, highest)


def _combined(
    by_physics: FloatArray, labels: tuple[FaultLabel, ...], told: FloatArray
) -> FloatArray:
    """Return the probabilities of all faults: the model's, save for faults it does not know."""
    result = by_physics.copy()
    result[FAULTS.index("none")] = 0.0
    at = [FAULTS.index(label) for label in labels]
    result[at] = 0.0
    result[at] = (1 - result.sum()) * told / told.sum()
    return result


def _doubts(acceleration_g: FloatArray) -> tuple[str, ...]:
    """Return what is suspicious of the waveform itself."""
    highest, lowest = acceleration_g.max(), acceleration_g.min()
    if highest == lowest:
        return ("the waveform is constant: the sensor is not connected, or frozen",)
    for end in (highest, lowest):
        is_at_end = acceleration_g == end
        # A true peak is touched once; a clipped one is flat on top.
        flat = int(np.count_nonzero(is_at_end[1:] & is_at_end[:-1]))
        if flat > max(_CLIPPED_MIN, _CLIPPED_SHARE * len(acceleration_g)):
            return (
                f"the waveform is clipped at {end:g} g: amplitudes are too low and impulses are "
                "hidden; take a larger range",
            )
    return ()


def _notes(
    count: int, rate_hz: float, speed_hz: float | None, machine: Machine, found: Indicators
) -> tuple[str, ...]:
    if speed_hz is None or not speed_hz > 0:
        return ("without the speed no fault of bearing or shaft can be told: give it",)
    if machine.bearing is None:
        return ("without the bearing none of its faults can be told: give its name or orders",)
    if not is_long_enough(count, rate_hz, speed_hz):
        return (
            f"{count * speed_hz / rate_hz:.1f} turns of the shaft are too few to tell the faults "
            f"of its bearing: record {TURNS_MIN:g} at the least, better 20",
        )
    if found.lines is None:
        return (
            f"{rate_hz:g} samples a second are too few for this bearing at this speed: its defects "
            f"strike {machine.bearing.bpfi * speed_hz:.0f} times a second; take 20 times as many",
        )
    return ()
