"""Draw the pictures anew: `python -m tests.pictures.make`.

Writes the plain-text pictures that the tests compare with, and `docs/console.svg` for the README.
Look at the difference before you commit it: it is what a technician will see.
"""

import asyncio
import re
from pathlib import Path

from tests.gateway.fake_view import FakeView
from tests.pictures.screen import NARROW, WIDE, console_of
from tests.pictures.stories import STORIES

FOLDER = Path(__file__).parent
SVG = FOLDER.parent.parent / "docs" / "console.svg"
FONTS = "ui-monospace, 'DejaVu Sans Mono', Menlo, Consolas, monospace"


async def make() -> None:
    """Write every picture."""
    for story in STORIES:
        for size in (NARROW, WIDE):
            async with console_of(FakeView(), size=size) as console:
                text = await story.tell(console)
            picture_path(story.name, size).write_text(text + "\n", encoding="utf-8")
    async with console_of(FakeView(), size=(100, 28)) as console:
        await console.shows("→")
        SVG.parent.mkdir(exist_ok=True)
        SVG.write_text(with_local_fonts(console.svg()), encoding="utf-8")


def picture_path(name: str, size: tuple[int, int]) -> Path:
    """Return where the picture of a story is kept."""
    return FOLDER / f"{name}_{size[0]}x{size[1]}.txt"


def with_local_fonts(svg: str) -> str:
    """Return the SVG without fonts from the network."""
    svg = re.sub(r"@font-face \{.*?\}\s*", "", svg, flags=re.DOTALL)
    return svg.replace("font-family: Fira Code, monospace", f"font-family: {FONTS}")


if __name__ == "__main__":
    asyncio.run(make())
