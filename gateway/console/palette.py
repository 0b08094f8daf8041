"""The colours of the console. They only add: whatever they say is also said by a word or a mark."""

from textual.theme import Theme

BACKGROUND = "#10141b"
SURFACE = "#161b24"
PANEL = "#1e2530"
TEXT = "#d7dde8"
MUTED = "#7d8899"
FAINT = "#3d4756"
ACCENT = "#7cb7ff"
SPARK = "#5d8fc7"
GOOD = "#86c98f"
WARN = "#e6b455"
BAD = "#f2777a"

THEME = Theme(
    name="edgewright",
    primary=ACCENT,
    secondary=MUTED,
    accent=ACCENT,
    foreground=TEXT,
    background=BACKGROUND,
    surface=SURFACE,
    panel=PANEL,
    success=GOOD,
    warning=WARN,
    error=BAD,
    dark=True,
    variables={
        "muted": MUTED,
        "faint": FAINT,
        "footer-key-foreground": ACCENT,
        "footer-description-foreground": MUTED,
        "footer-background": BACKGROUND,
        "block-cursor-text-style": "none",
    },
)


def health_colour(health: float | None) -> str:
    """Return the colour of a health of 0 to 1."""
    if health is None:
        return MUTED
    if health >= 0.8:
        return GOOD
    return WARN if health >= 0.6 else BAD


def severity_colour(severity: int) -> str:
    """Return the colour of a severity of 1 to 1000."""
    if severity >= 700:
        return BAD
    return WARN if severity >= 300 else MUTED
