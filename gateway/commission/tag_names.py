"""Short, unique tag names from the paths of nodes. Pure."""

import re
from collections import Counter
from collections.abc import Collection, Sequence

SEGMENTS_MIN = 2
"""A name alone, such as `Flow`, says too little: the thing it belongs to stands before it."""


def tag_names(paths: Sequence[Sequence[str]], taken: Collection[str] = ()) -> list[str]:
    """Return a name for each path: its last parts, as many as make it unique, joined by dots.

    Args:
        paths: Browse names from the top, each at least one.
        taken: Names that are not to be used.
    """
    clean = [[_clean(part) for part in path] for path in paths]
    sizes = [min(SEGMENTS_MIN, len(path)) for path in clean]
    while True:
        names = [_joined(path[-size:]) for path, size in zip(clean, sizes, strict=True)]
        counts = Counter(names)
        longer = [
            i
            for i, name in enumerate(names)
            if (counts[name] > 1 or name in taken) and sizes[i] < len(clean[i])
        ]
        if not longer:
            return _numbered(names, taken)
        for i in longer:
            sizes[i] += 1


def _clean(part: str) -> str:
    """Return a browse name with only what a tag name may hold."""
    return re.sub(r"[^\w.\-\[\]:]+", "_", part).strip("_.") or "_"


def _joined(parts: Sequence[str]) -> str:
    """Join by dots, without saying twice what a part repeats of the one before it."""
    first, *rest = parts
    name = first
    for before, part in zip(parts, rest, strict=False):
        shorter = part.removeprefix(f"{before}.")
        name += f".{shorter or part}"
    return name


def _numbered(names: Sequence[str], taken: Collection[str]) -> list[str]:
    """Number what whole paths could not tell apart."""
    used = set(taken)
    unique = []
    for name in names:
        numbered, count = name, 1
        while numbered in used:
            count += 1
            numbered = f"{name}_{count}"
        used.add(numbered)
        unique.append(numbered)
    return unique
