"""Keys, then a picture: the screen as text, at both sizes, with the clock standing still.

`python -m tests.pictures.make` draws the pictures anew.
"""

import pytest

from tests.gateway.fake_view import FakeView
from tests.pictures.make import SVG, picture_path, with_local_fonts
from tests.pictures.screen import NARROW, WIDE, console_of
from tests.pictures.stories import STORIES, Story


@pytest.mark.parametrize("size", [NARROW, WIDE], ids=["80x24", "120x40"])
@pytest.mark.parametrize("story", STORIES, ids=lambda story: story.name)
async def test_the_screen_is_as_it_was_looked_at(story: Story, size: tuple[int, int]) -> None:
    async with console_of(FakeView(), size=size) as console:
        text = await story.tell(console)
    assert text + "\n" == picture_path(story.name, size).read_text(encoding="utf-8")


def test_no_line_of_a_picture_is_wider_than_its_terminal() -> None:
    for story in STORIES:
        for width, height in (NARROW, WIDE):
            lines = picture_path(story.name, (width, height)).read_text("utf-8").splitlines()
            assert len(lines) <= height
            assert max(map(len, lines)) <= width


def test_the_picture_of_the_readme_needs_no_network() -> None:
    svg = SVG.read_text(encoding="utf-8")
    assert with_local_fonts(svg) == svg
    assert "url(" not in svg.replace("url(#", "")
