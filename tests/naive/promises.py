"""What was told of one life, kept as a plain list, and judged by walking through it."""


def judged(
    told: list[tuple[float, float, float]], *, end: float, cap: float, spacing: float, kept: int
) -> tuple[float, float, float, int, int] | None:
    """Low, high and truth of the one that is judged, how many there are, how many held."""
    chosen: list[tuple[float, float, float]] = []
    for time, low, high in told:
        if not chosen or time - chosen[-1][0] >= spacing:
            chosen.append((time, low, high))
    chosen = [each for each in chosen[-kept:] if each[0] < end]
    if not chosen:
        return None
    held = 0
    for time, low, high in chosen:
        truth = min(cap, end - time)
        if low <= truth <= high:
            held += 1
    time, low, high = chosen[len(chosen) // 2]
    return low, high, min(end - time, cap), len(chosen), held
