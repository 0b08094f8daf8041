"""The READMEs name every option, default and column, and their examples are real."""

import re
import tomllib
from collections.abc import Iterable
from pathlib import Path

import pytest
from pydantic.fields import FieldInfo

from connectors.modbus.connector import ModbusConfig, ModbusConnector, ScanGroup
from connectors.modbus.tags import MODBUS_COLUMNS
from connectors.mqtt.connector import MqttConfig, MqttConnector, SilenceGroup
from connectors.mqtt.sparkplug import SparkplugConfig, SparkplugConnector
from connectors.mqtt.sparkplug_tags import SPARKPLUG_COLUMNS
from connectors.mqtt.tags import MQTT_COLUMNS
from connectors.opcua.connector import OpcuaConfig, OpcuaConnector, SubscriptionGroup
from connectors.opcua.events import EventSettings
from connectors.opcua.limits import TRAITS
from connectors.opcua.tags import OPCUA_COLUMNS
from connectors.taglist import COMMON_COLUMNS
from gateway.config import CameraConfig
from gateway.core.settings import Settings
from gateway.wire.clock import SystemClock

CONNECTORS = Path(__file__).parents[2] / "connectors"
MODELS: dict[str, tuple[type[Settings], ...]] = {
    ".": (CameraConfig,),
    "modbus": (ModbusConfig, ScanGroup),
    "opcua": (OpcuaConfig, SubscriptionGroup, EventSettings),
    "mqtt": (MqttConfig, SilenceGroup, SparkplugConfig),
}
SHARED_COLUMNS = {"tag", *COMMON_COLUMNS}
COLUMNS: dict[str, set[str]] = {
    ".": SHARED_COLUMNS,
    "modbus": {*MODBUS_COLUMNS} - SHARED_COLUMNS,
    "opcua": {*OPCUA_COLUMNS} - SHARED_COLUMNS,
    "mqtt": {*MQTT_COLUMNS, *SPARKPLUG_COLUMNS} - SHARED_COLUMNS,
}
FOLDERS = tuple(MODELS)


def readme(folder: str) -> str:
    return (CONNECTORS / folder / "README.md").read_text(encoding="utf-8")


def rows(folder: str, head: str) -> list[tuple[str, str]]:
    """Return name and default of the rows of all tables whose first column has that head."""
    found: list[tuple[str, str]] = []
    is_inside = False
    for line in readme(folder).splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if not line.startswith("|"):
            is_inside = False
        elif cells[0] == head:
            is_inside = True
        elif is_inside and not cells[0].startswith("-"):
            names = re.findall(r"`([^`]+)`", cells[0])
            defaults = cells[1].split(", ") if len(names) > 1 else [cells[1]]
            found += [
                (name, defaults[k] if k < len(defaults) else defaults[-1])
                for k, name in enumerate(names)
            ]
    return found


def fields(folder: str) -> dict[str, list[FieldInfo]]:
    """Return the options of a folder's models by their name, which several may share."""
    found: dict[str, list[FieldInfo]] = {}
    for model in MODELS[folder]:
        for name, field in model.model_fields.items():
            found.setdefault(name, []).append(field)
    return found


def default_text(field: FieldInfo) -> str | None:
    """Return a default as the tables write it; None where they may put it in words."""
    default = field.default
    if field.is_required():
        return "required"
    if isinstance(default, int | float):
        return f"{default:.0f}" if float(default).is_integer() else repr(default)
    if isinstance(default, str) and default:
        return f"`{default}`"
    return None


def examples(folder: str) -> list[str]:
    """Return the indented blocks."""
    blocks: list[list[str]] = [[]]
    for line in readme(folder).splitlines():
        if line.startswith("    "):
            blocks[-1].append(line[4:])
        elif blocks[-1]:
            blocks.append([])
    return ["\n".join(block) for block in blocks if block]


def connector_tables(folder: str) -> dict[str, dict[str, object]]:
    """Return the examples of a README, put together to one configuration."""
    blocks = [block for block in examples(folder) if block.startswith("[")]
    tables: dict[str, dict[str, object]] = tomllib.loads("\n".join(blocks))["connectors"]
    return tables


def write_lists(folder: str, target: Path, names: Iterable[tuple[str, str]]) -> None:
    """Write the tag lists of a README, each known by its second column."""
    lists = {x.split(",")[1]: x for x in examples(folder) if x.startswith("tag,")}
    for column, name in names:
        (target / name).write_text(lists[column], encoding="utf-8")


@pytest.mark.parametrize("folder", FOLDERS)
def test_every_option_stands_in_a_table(folder: str) -> None:
    assert set(fields(folder)) == {name for name, _ in rows(folder, "option")}


@pytest.mark.parametrize("folder", FOLDERS)
def test_the_defaults_are_those_of_the_models(folder: str) -> None:
    """Where two models share a name, such as a connector and its groups, one of them has it."""
    known = fields(folder)
    wrong = {}
    for name, written in rows(folder, "option"):
        texts = {default_text(field) for field in known[name]}
        if None not in texts and written not in texts:
            wrong[name] = (written, texts)
    assert wrong == {}


@pytest.mark.parametrize("folder", FOLDERS)
def test_every_column_stands_in_a_table(folder: str) -> None:
    assert {name for name, _ in rows(folder, "column")} == COLUMNS[folder]


@pytest.mark.parametrize("folder", FOLDERS)
def test_events_that_are_named_are_told_somewhere(folder: str) -> None:
    sources = [*CONNECTORS.glob("*.py"), *(CONNECTORS / folder).glob("*.py")]
    sources += (CONNECTORS.parent / "gateway").rglob("*.py")
    code = "\n".join(path.read_text(encoding="utf-8") for path in sources)
    named = {name for name, _ in rows(folder, "event")}
    assert named
    assert {name for name in named if f'"{name}"' not in code} == set()


def test_the_table_of_makes_is_that_of_the_code() -> None:
    lines = readme("opcua").partition("| make |")[2].splitlines()[2:]
    assert lines[: len(TRAITS)] == [
        f"| `{profile.value}` | {traits.items_per_call} | {traits.nodes_per_read} "
        f"| {traits.items_max or 'as stated'} | {traits.reads_in_flight} "
        f"| {'tried' if traits.takes_filters else 'none: it knows no filters'} |"
        for profile, traits in TRAITS.items()
    ]


@pytest.mark.parametrize("folder", FOLDERS)
def test_no_row_stands_there_twice(folder: str) -> None:
    lines = [line for line in readme(folder).splitlines() if line.startswith("| ")]
    twice = {line for line in lines if lines.count(line) > 1}
    # Every list begins with its tags, and every table with its head.
    allowed = re.compile(r"\| (option|column) \| default|\| `tags` \|")
    assert {line for line in twice if not allowed.match(line)} == set()


@pytest.mark.parametrize("folder", FOLDERS)
def test_links_lead_somewhere(folder: str) -> None:
    """Files that are linked are there, and so are the headings in them."""
    here = CONNECTORS / folder
    for target, heading in re.findall(r"\]\(([^)#]+)(?:#([^)]+))?\)", readme(folder)):
        text = (here / target).read_text(encoding="utf-8")
        headings = {
            line.lstrip("# ").lower().replace(" ", "-")
            for line in text.splitlines()
            if line.startswith("#")
        }
        assert not heading or heading in headings


def test_the_quality_tables_agree() -> None:
    """What the page of all protocols says is what the page of each says."""
    tables = {folder: quality_table(readme(folder)) for folder in FOLDERS}
    states = {rule: list(cells) for rule, cells in tables["."].items()}
    parts = {
        rule: [*tables["modbus"][rule], *tables["opcua"][rule], *tables["mqtt"][rule]]
        for rule in states
    }
    words = {rule: [first_word(cell) for cell in cells] for rule, cells in states.items()}
    assert words == {rule: [first_word(cell) for cell in cells] for rule, cells in parts.items()}
    assert all(set(cells) <= {"done", "todo", "exempt"} for cells in words.values())


def quality_table(text: str) -> dict[str, list[str]]:
    """Return the cells behind each rule of a README's quality table."""
    lines = text.partition("\n## Quality\n")[2].splitlines()
    cells = [[x.strip() for x in line.strip("|").split("|")] for line in lines if line[:1] == "|"]
    return {row[0]: row[1:] for row in cells[2:]}


def first_word(cell: str) -> str:
    return re.split(r"[:, ]", cell)[0]


def test_the_examples_of_modbus_work(tmp_path: Path) -> None:
    write_lists("modbus", tmp_path, [("address", "blower.csv")])
    tables = connector_tables("modbus")
    found = {
        name: ModbusConnector(
            name, ModbusConfig.model_validate(table), folder=tmp_path, clock=SystemClock()
        )
        for name, table in tables.items()
        if not name.startswith("drive")
    }
    names = ["speed", "flow", "fan_running", "filter_alarm", "drive_end"]
    assert [tag.id for tag in found["blower"].tags] == [f"blower.{name}" for name in names]
    assert ModbusConfig.model_validate(tables["drive_1"]).is_serial


def test_the_examples_of_opcua_work(tmp_path: Path) -> None:
    write_lists("opcua", tmp_path, [("node", "pumps.csv")])
    pumps = OpcuaConnector(
        "pumps",
        OpcuaConfig.model_validate(connector_tables("opcua")["pumps"]),
        folder=tmp_path,
        state_folder=tmp_path,
        clock=SystemClock(),
    )
    assert [tag.id for tag in pumps.tags] == ["pumps.P101.Flow", "pumps.P101.Speed"]


def test_the_examples_of_mqtt_work(tmp_path: Path) -> None:
    write_lists("mqtt", tmp_path, [("topic", "mixer.csv"), ("edge_node", "site.csv")])
    tables = connector_tables("mqtt")
    mixer = MqttConnector(
        "mixer",
        MqttConfig.model_validate(tables["mixer"]),
        folder=tmp_path,
        gateway="pumphouse-1",
        clock=SystemClock(),
    )
    site = SparkplugConnector(
        "site",
        SparkplugConfig.model_validate(tables["site"]),
        folder=tmp_path,
        gateway="pumphouse-1",
        clock=SystemClock(),
    )
    assert [tag.id for tag in mixer.tags] == ["mixer.flow", "mixer.level", "mixer.setpoint"]
    assert [tag.id for tag in site.tags] == ["site.uptime", "site.flow"]


def test_the_example_of_a_camera_works() -> None:
    [block] = [block for block in examples(".") if block.startswith("[cameras")]
    assert CameraConfig.model_validate(tomllib.loads(block)["cameras"]["gate"]).period_s > 0
