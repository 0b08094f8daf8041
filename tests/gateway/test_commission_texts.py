"""Tag names, tag lists and configurations that people edit and machines change."""

import tomllib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.commission.config_text import new_config, with_table
from gateway.commission.merge import Cells, Merged, Sheets, merged, read_rows, rendered
from gateway.commission.tag_names import tag_names
from gateway.core.errors import ConfigError

SHEETS = Sheets(
    columns=("tag", "node", "unit", "low"),
    watched=("unit", "low"),
    key=lambda cells: cells["node"],
)
WORDS = st.sampled_from(["", "bar", "Cel", "1", "2"])
ROWS = st.dictionaries(st.sampled_from("abcde"), st.tuples(WORDS, WORDS), max_size=5)
CONFIG = """\
# my plant
[gateway]   # a remark
id = "plant"

[connectors.pumps]
# do not change
type     = "opcua"
endpoint = "opc.tcp://old:4840" # the old PLC
sampling_ms = 500

[connectors.pumps.groups.fast]
sampling_ms = 50

[[whatever]]
type = "opcua"
"""


def cells(node: str, unit: str = "", low: str = "") -> Cells:
    return {"tag": f"t{node}", "node": node, "unit": unit, "low": low}


def lines(rows: dict[str, tuple[str, str]]) -> list[Cells]:
    return [cells(node, *words) for node, words in rows.items()]


def run(text: str, fresh: list[Cells], previous: list[Cells], gone: str = "") -> Merged:
    return merged(text, fresh, previous=previous, gone=frozenset(gone), sheets=SHEETS)


@given(ROWS, ROWS)
def test_a_list_that_nobody_edited_follows_the_machine(
    before: dict[str, tuple[str, str]], after: dict[str, tuple[str, str]]
) -> None:
    """And what it follows to is stable: the next run changes nothing."""
    old, new = lines(before), lines(after)
    gone = "".join(set(before) - set(after))
    result = run(rendered(old, SHEETS.columns), new, old, gone)
    by_node = {row["node"]: row for row in read_rows(result.text)}
    assert by_node == {row["node"]: row for row in new}
    assert (result.added, result.gone) == (len(set(after) - set(before)), len(gone))
    again = run(result.text, new, new, gone)
    assert again == Merged(text=result.text)


@given(ROWS, ROWS, ROWS)
def test_a_persons_cells_stay(
    before: dict[str, tuple[str, str]],
    after: dict[str, tuple[str, str]],
    edited: dict[str, tuple[str, str]],
) -> None:
    """A cell that a person has changed stays theirs; one they left alone is the machine's."""
    old, new = lines(before), lines(after)
    persons = {node: edited.get(node, words) for node, words in before.items()}
    result = run(rendered(lines(persons), SHEETS.columns), new, old)
    for row in read_rows(result.text):
        node = row["node"]
        if node in before and node in after:
            for column, position in (("unit", 0), ("low", 1)):
                mine, was, now = persons[node][position], before[node][position], after[node]
                assert row[column] == (now[position] if mine == was else mine)


def test_everything_else_stays_letter_by_letter() -> None:
    """Comments, order, names, columns of their own, separators and line ends."""
    text = (
        "# my list\r\n"
        "node;tag;group;unit;low\r\n"
        "a;Renamed;fast;bar;0,5\r\n"
        "\r\n"
        "b ; tb ;;;\r\n"
        "c;tc;;Cel;\r\n"
    )
    old = [cells("a", "bar", "0.5"), cells("b"), cells("c", "Cel"), cells("d")]
    new = [cells("a", "bar", "0.50"), cells("b"), cells("d"), cells("e", "bar")]
    result = run(text, new, old, gone="c")
    expected = text.replace("c;tc", "# gone: c;tc") + "e;te;;bar;\r\n"
    assert expected == result.text
    assert str(result) == "1 added, 1 gone"
    back = run(result.text, [*new, cells("c", "Cel")], new)
    assert back.text == expected.replace("# gone: ", "")
    assert str(back) == "1 back"


def test_without_a_memory_the_list_is_a_persons() -> None:
    text = rendered([cells("a", "bar", "1"), cells("b")], SHEETS.columns)
    result = run(text, [cells("a", "Cel", "2"), cells("b", "Cel")], [])
    assert read_rows(result.text) == [cells("a", "bar", "1"), cells("b", "Cel")]


@pytest.mark.parametrize(
    ("paths", "names"),
    [
        (["Plant/P101/Flow", "Plant/P102/Flow"], ["P101.Flow", "P102.Flow"]),
        (["A/P/Flow", "B/P/Flow", "B/Q/Flow"], ["A.P.Flow", "B.P.Flow", "Q.Flow"]),
        (["Flow", "X/Flow"], ["Flow", "X.Flow"]),
        (["A/x", "A/x"], ["A.x", "A.x_2"]),
        (["A/Oil temp (°C)"], ["A.Oil_temp_C"]),
        (["PLC/P101/P101.Flow"], ["P101.Flow"]),
    ],
)
def test_names_are_short_and_unique(paths: list[str], names: list[str]) -> None:
    assert names == tag_names([path.split("/") for path in paths])


@given(
    st.lists(st.lists(st.sampled_from(["a", "b", "a b", "é"]), min_size=1, max_size=4), max_size=9),
    st.sets(st.sampled_from(["a", "a.b", "b.a_2"])),
)
def test_names_are_never_given_twice(paths: list[list[str]], taken: set[str]) -> None:
    names = tag_names(paths, taken)
    assert len(set(names) | taken) == len(paths) + len(taken)


def test_only_the_connectors_own_lines_change() -> None:
    after = with_table(
        CONFIG, "connectors.pumps", {"type": "opcua", "endpoint": "opc.tcp://new:1", "trust": "x"}
    )
    expected = CONFIG.replace("opc.tcp://old:4840", "opc.tcp://new:1").replace(
        "sampling_ms = 500\n", 'sampling_ms = 500\ntrust       = "x"\n'
    )
    assert expected == after


def test_a_new_machine_is_put_at_the_end() -> None:
    after = with_table(CONFIG.rstrip("\n"), "connectors.k01", {"type": "modbus", "unit": 1})
    assert after.startswith(CONFIG.rstrip("\n"))
    assert after.endswith('\n\n[connectors.k01]\ntype = "modbus"\nunit = 1\n')
    assert tomllib.loads(new_config('a "b"'))["gateway"]["id"] == 'a "b"'


def test_the_same_values_change_nothing() -> None:
    assert with_table(CONFIG, "connectors.pumps", {"type": "opcua"}) == CONFIG


@pytest.mark.parametrize(
    "text",
    [
        'connectors = { pumps = { type = "opcua", endpoint = "a" } }\n',
        '[connectors]\npumps.endpoint = "a"\n',
        '[connectors.pumps]\nendpoint = """\na"""\n',
    ],
)
def test_what_is_written_another_way_is_refused(text: str) -> None:
    """Never mangled: the message says what a person should write."""
    with pytest.raises(ConfigError, match='endpoint = "b"'):
        with_table(text, "connectors.pumps", {"endpoint": "b"})
