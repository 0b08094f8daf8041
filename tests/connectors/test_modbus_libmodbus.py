"""Reading, refusals and writing, against a server that libmodbus makes, in C."""

import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from gateway.core.errors import CommandError, DeviceError
from gateway.core.tags import Tag
from tests.connectors.refusing import connector_to, polled, scans, stated, values, words
from tests.connectors.wire import until
from tests.interop.peers import compiled, running_peer

pytestmark = pytest.mark.skipif(shutil.which("gcc") is None, reason="needs a C compiler")

WRITABLE = [
    "word,10,int16,,yes",
    "total,12,bcd32,,yes",
    "level,14,float32,,yes",
    "bit3,20,bit3,,yes",
    "bit9,20,bit9,,yes",
    "run,coil:5,bool,,yes",
]


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return compiled("modbus_short_map.c", tmp_path_factory.mktemp("peer"), "modbus")


@pytest.fixture
async def port(program: Path) -> AsyncIterator[int]:
    async with running_peer([str(program)]) as [port]:
        yield int(port)


async def test_what_lies_beyond_the_map_is_set_aside(port: int, tmp_path: Path) -> None:
    """Ten registers and one coil too many; all others have their values."""
    rows = [*words(range(60)), *(f"c{address},coil:{address},bool,," for address in range(34))]
    connector = connector_to(port, tmp_path, rows)
    async with polled(connector) as sink:
        await until(lambda: len(connector.report().set_aside) == 11, what="all of them")
        await scans(sink, connector, "t49", 3)
    beyond = {f"t{address}" for address in range(50, 60)} | {"c33"}
    assert set(stated(sink, connector)) == beyond
    for address in range(50):
        assert set(values(sink, connector, f"t{address}")) == {1000.0 + address}
    assert set(values(sink, connector, "c32")) == {0.0}
    sink.assert_sound()


async def test_bits_of_a_byte_are_found_by_their_number(port: int, tmp_path: Path) -> None:
    rows = [f"c{address},coil:{address},bool,," for address in range(20, 34)]
    connector = connector_to(port, tmp_path, rows)
    async with polled(connector) as sink:
        await until(lambda: bool(connector.report().set_aside), what="the coil")
        await scans(sink, connector, "c20", 2)
    assert [each.address for each in connector.report().set_aside] == ["coil 33"]


@pytest.mark.parametrize("bit_writes", ["mask", "read_modify_write"])
@pytest.mark.parametrize("functions", ["single", "multiple"])
async def test_what_is_written_is_read_back(
    port: int, tmp_path: Path, bit_writes: str, functions: str
) -> None:
    """With the functions 5, 6, 15, 16 and 22; one bit leaves the others of its register."""
    connector = connector_to(
        port, tmp_path, WRITABLE, bit_writes=bit_writes, write_functions=functions
    )
    tags = {tag.id.split(".", 1)[1]: tag for tag in connector.tags}
    async with polled(connector) as sink:
        await scans(sink, connector, "word", 1)
        wanted = {"word": -7.0, "total": 12345678.0, "level": 2.5, "run": 1.0}
        for name, value in wanted.items():
            assert await connector.write(tags[name], value) == value
        # 1020 is 0b1111111100: both bits are set.
        assert await connector.write(tags["bit3"], 0.0) == 0.0
        await until(lambda: values(sink, connector, "bit3")[-1] == 0.0, what="the bit")
        assert values(sink, connector, "bit9")[-1] == 1.0
        assert await connector.write(tags["bit9"], 0.0) == 0.0
        assert await connector.write(tags["bit3"], 1.0) == 1.0
        await scans(sink, connector, "bit3", 2)
        last = {name: values(sink, connector, name)[-1] for name in tags}
    assert last == wanted | {"bit3": 1.0, "bit9": 0.0}


async def test_a_write_that_fails_names_the_tag_and_the_remedy(port: int, tmp_path: Path) -> None:
    rows = [*WRITABLE, "beyond,60,int16,,yes", "read_only,3,int16,,"]
    connector = connector_to(port, tmp_path, rows, bit_writes="mask")
    tags = {tag.id.split(".", 1)[1]: tag for tag in connector.tags}

    async def refusal(tag: Tag, value: float) -> str:
        with pytest.raises((CommandError, DeviceError)) as caught:
            await connector.write(tag, value)
        return str(caught.value)

    async with polled(connector) as sink:
        await scans(sink, connector, "word", 1)
        assert "blower.bit3: 2.0 does not fit into bit3 (0 to 1)" in await refusal(tags["bit3"], 2)
        text = await refusal(tags["word"], 40_000.0)
        assert "blower.word: 40000.0 does not fit into int16 (-32768 to 32767)" in text
        assert "`scale`" in text
        text = await refusal(tags["beyond"], 1.0)
        assert "refuses a write to blower.beyond" in text
        assert "the device may read there and not allow writes" in text
        assert "exception 2" in text
        assert "set `writable` in its tag list" in await refusal(tags["read_only"], 1.0)
