"""Weighted quantiles by walking along the sorted values."""


def weighted_quantile(values: list[float], weights: list[float], share: float) -> float:
    """Return the least value that at least this share of the weight does not exceed."""
    passed = 0.0
    for value, weight in sorted(zip(values, weights, strict=True)):
        passed += weight
        if passed >= share * sum(weights) * (1 - 1e-12):
            return value
    raise AssertionError("the weights sum to their sum")
