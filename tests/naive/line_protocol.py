"""Line protocol read character by character, as its reference describes it."""

from dataclasses import dataclass


@dataclass
class Point:
    measurement: str
    tags: dict[str, str]
    fields: dict[str, float | int | str]
    time: int

    @property
    def identity(self) -> tuple[str, tuple[tuple[str, str], ...], int]:
        """What a second point with the same overwrites."""
        return self.measurement, tuple(sorted(self.tags.items())), self.time


def parse(text: str) -> list[Point]:
    return [parse_line(line) for line in text.split("\n")]


def parse_line(line: str) -> Point:
    reader = Reader(line)
    measurement = reader.name(", ")
    tags: dict[str, str] = {}
    while reader.take(","):
        key = reader.name("=")
        reader.expect("=")
        value = reader.name(", ")
        assert key, line
        assert value, f"an empty tag value is not allowed: {line}"
        assert key not in tags, line
        tags[key] = value
    reader.expect(" ")
    fields: dict[str, float | int | str] = {}
    while True:
        key = reader.name("=")
        reader.expect("=")
        fields[key] = reader.field()
        if not reader.take(","):
            break
    reader.expect(" ")
    time = int(reader.rest())
    assert measurement, line
    return Point(measurement, tags, fields, time)


class Reader:
    def __init__(self, text: str) -> None:
        self.text = text
        self.place = 0

    def take(self, mark: str) -> bool:
        found = self.text[self.place : self.place + 1] == mark
        self.place += found
        return found

    def expect(self, mark: str) -> None:
        assert self.take(mark), (self.text, self.place, mark)

    def rest(self) -> str:
        rest, self.place = self.text[self.place :], len(self.text)
        return rest

    def name(self, ends: str) -> str:
        """Read up to a character that ends it; a backslash means itself before any other."""
        found = ""
        while self.text[self.place] not in ends:
            if self.text[self.place] == "\\" and self.text[self.place + 1] in ", =":
                self.place += 1
            found += self.text[self.place]
            self.place += 1
        return found

    def field(self) -> float | int | str:
        if self.take('"'):
            found = ""
            while not self.take('"'):
                if self.text[self.place] == "\\" and self.text[self.place + 1] in '"\\':
                    self.place += 1
                found += self.text[self.place]
                self.place += 1
            return found
        word = self.name(", ")
        return int(word[:-1]) if word.endswith("i") else float(word)
