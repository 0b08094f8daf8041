"""What a person does before a picture is taken, by the picture's name."""

from collections.abc import Callable
from dataclasses import dataclass

from tests.pictures.screen import Console


@dataclass(frozen=True, slots=True)
class Story:
    """Keys, and what must be on the screen before the picture counts."""

    name: str
    keys: tuple[str, ...]
    shows: str | Callable[[str], bool]

    async def tell(self, console: Console) -> str:
        """Press the keys, and return the screen once it shows what it must."""
        await console.shows("P-101 · why 51 %")
        await console.press(*self.keys)
        return await console.shows(self.shows)


STORIES = (
    Story("plant", (), "Clean or change the suction filter"),
    Story("plant_calm_asset", ("down", "down"), "P-102 · why 97 %"),
    Story("asset", ("2",), "discharge pressure"),
    Story("asset_next", ("2", "right_square_bracket"), "oil temperature"),
    Story("alarms", ("3",), "raised 12:48:11"),
    Story("devices", ("4",), "ConnectionRefusedError"),
    Story("devices_aside", ("4", "down", "down"), "holding 120 set aside"),
    Story("device_tags", ("4", "down", "down", "r"), "holding 120: exception 2"),
    Story("sync", ("5",), "received 98 211 462"),
    Story("models", ("6",), "First version on this gateway"),
    Story("help", ("question_mark",), "Stale: old"),
    Story("find", ("slash", *"filter"), "0 assets, 2 tags"),
    Story("trend", ("2", "down", "t"), "24 samples"),
    Story("shelve", ("3", "s"), "Shelve P-101/filter_clogged"),
    Story("promote", ("6", "down", "p"), "Type the version, 1.5"),
)
