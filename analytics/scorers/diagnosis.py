"""Scores of diagnoses: which fault it is, and which columns show it. Classes are texts."""

from collections.abc import Mapping, Sequence

import numpy as np

from gateway.core.arrays import FloatArray


def balanced_accuracy(actual: Sequence[str], predicted: Sequence[str]) -> float:
    """Return the mean over the actual classes of the share that was recognised.

    A prediction that is none of the actual classes is wrong, and no more.

    Raises:
        ValueError: there is nothing, or the lengths differ.
    """
    _check(actual, predicted)
    truth, told = np.array(actual), np.array(predicted)
    classes, place = np.unique(truth, return_inverse=True)
    recognised = np.bincount(place, weights=truth == told, minlength=len(classes))
    return float(np.mean(recognised / np.bincount(place)))


def macro_f1(actual: Sequence[str], predicted: Sequence[str]) -> float:
    """Return the mean F1 over the actual classes.

    Raises:
        ValueError: there is nothing, or the lengths differ.
    """
    _check(actual, predicted)
    truth, told = np.array(actual), np.array(predicted)
    scores = [
        2
        * np.count_nonzero((truth == name) & (told == name))
        / (np.count_nonzero(truth == name) + np.count_nonzero(told == name))
        for name in np.unique(truth)
    ]
    return float(np.mean(scores))


def macro_auroc(actual: Sequence[str], score_by_class: Mapping[str, FloatArray]) -> float:
    """Return the mean area under the ROC curve, each class against the rest.

    It is the share of pairs (one of the class, one of the rest) in the right order; equal scores
    count a half.

    Args:
        actual: n classes, at least two different ones.
        score_by_class: For each actual class, shape (n,).
    Raises:
        ValueError: there are fewer than two classes.
    Source:
        Mann and Whitney (1947).
    """
    truth = np.array(actual)
    classes = np.unique(truth)
    if len(classes) < 2:
        raise ValueError(f"one class alone has no ROC curve: {list(classes)}")
    areas = []
    for name in classes:
        is_of_class = truth == name
        _, place, count = np.unique(
            score_by_class[str(name)], return_inverse=True, return_counts=True
        )
        middle_rank = np.cumsum(count) - (count - 1) / 2
        own = np.count_nonzero(is_of_class)
        lowest = own * (own + 1) / 2
        areas.append((middle_rank[place][is_of_class].sum() - lowest) / (own * (len(truth) - own)))
    return float(np.mean(areas))


def attribution_hit(share_by_column: Mapping[str, float], wanted: Sequence[str], top: int) -> bool:
    """Return whether one of the wanted columns is among the top ones with the largest shares.

    A column without any share is never among them.
    """
    weighty = sorted(
        (name for name, share in share_by_column.items() if share > 0),
        key=lambda name: -share_by_column[name],
    )
    return bool(set(weighty[:top]) & set(wanted))


def _check(actual: Sequence[str], predicted: Sequence[str]) -> None:
    if len(actual) != len(predicted) or not actual:
        raise ValueError(f"{len(actual)} truths, {len(predicted)} predictions")
