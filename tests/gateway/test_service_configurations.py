"""The copies of configurations on disk, and what a start makes of them."""

from pathlib import Path

import pytest

from gateway.config import read_config
from gateway.core.errors import ConfigError
from gateway.service.build import build_parts
from gateway.service.configurations import (
    ConfigurationFolder,
    Left,
    OnTrial,
    Standing,
    at_start,
    copy_of,
)
from gateway.wire.clock import SystemClock
from tests.gateway.service_run import COMPRESSOR_SHEET, HEAD, compressor_table, written

OLD, NEW = "0" * 12, "1" * 12
UPLINK = """
[uplinks.cloud]
type = "http"
url = "https://sync.example.com"
token_file = "secrets/token"
"""


def prepared(folder: Path) -> Path:
    written(folder, HEAD + compressor_table("127.0.0.1:1") + UPLINK, k01=COMPRESSOR_SHEET)
    return folder / "gateway.toml"


def test_a_copy_runs_without_the_files_it_was_made_of(tmp_path: Path) -> None:
    """Tag lists are copied; what may be secret stays where it is."""
    path = prepared(tmp_path)
    kept = ConfigurationFolder(tmp_path / "state")
    copy = copy_of(path)
    kept.keep(copy)
    before = read_config(path)
    (tmp_path / "k01.csv").write_text("tag,address,type\nOther,8,float32\n", encoding="utf-8")
    path.unlink()
    config = kept.load(copy.digest)
    parts = build_parts(config, folder=tmp_path, clock=SystemClock())
    assert [tag.id for tag in parts.connectors[0].tags] == [
        "compressor.Speed",
        "compressor.Flow",
        "compressor.InletDp",
    ]
    assert config.uplinks == before.uplinks
    assert config.gateway == before.gateway
    assert copy.origin.file == path
    assert not list((tmp_path / "state").rglob("token"))


def test_the_digest_tells_every_change_and_nothing_else(tmp_path: Path) -> None:
    path = prepared(tmp_path)
    first = copy_of(path).digest
    assert copy_of(path).digest == first
    sheet = tmp_path / "k01.csv"
    sheet.write_text(COMPRESSOR_SHEET + "Extra,8,float32,,,\n", encoding="utf-8")
    second = copy_of(path).digest
    path.write_text(path.read_text(encoding="utf-8") + "\n# seen\n", encoding="utf-8")
    third = copy_of(path).digest
    assert len({first, second, third}) == 3


def test_a_missing_tag_list_is_a_mistake(tmp_path: Path) -> None:
    path = prepared(tmp_path)
    (tmp_path / "k01.csv").unlink()
    with pytest.raises(ConfigError, match=r"k01\.csv: cannot be read"):
        copy_of(path)


def test_only_what_may_be_needed_is_kept(tmp_path: Path) -> None:
    path = prepared(tmp_path)
    kept = ConfigurationFolder(tmp_path / "state")
    first = copy_of(path)
    kept.keep(first)
    path.write_text(path.read_text(encoding="utf-8") + "\n# seen\n", encoding="utf-8")
    second = copy_of(path)
    kept.keep(second)
    trial = OnTrial(digest=second.digest, since_ns=1)
    standing = Standing(in_force=first.digest, since_ns=1, trial=trial)
    kept.stand(standing)
    assert kept.standing() == standing
    kept.load(first.digest)
    kept.stand(Standing(in_force=second.digest, since_ns=2))
    with pytest.raises(ConfigError, match="copy of the configuration is gone"):
        kept.load(first.digest)


def test_of_a_damaged_standing_nothing_is_believed(tmp_path: Path) -> None:
    kept = ConfigurationFolder(tmp_path / "state")
    kept.stand(Standing(in_force=OLD))
    (kept.path / "standing.json").write_text('{"in_force": 3', encoding="utf-8")
    assert kept.standing() == Standing()


def test_what_was_learnt_is_kept_beside_its_configuration(tmp_path: Path) -> None:
    copy = copy_of(prepared(tmp_path))
    kept = ConfigurationFolder(tmp_path / "state")
    kept.keep(copy)
    assert kept.state_of(copy.digest) == {}
    parts = {"alarms": b"\x00\xff", "twin.compressor": b""}
    kept.keep_state(copy.digest, parts)
    assert kept.state_of(copy.digest) == parts
    (kept.path / copy.digest / "state.json").write_bytes(b"{")
    assert kept.state_of(copy.digest) == {}


LEFT = Left(digest=NEW, time_ns=5, reason="tags were Bad")
TRIAL = OnTrial(digest=NEW, since_ns=5)


@pytest.mark.parametrize(
    ("before", "given", "runs"),
    [
        (Standing(), NEW, NEW),
        (Standing(in_force=OLD), OLD, OLD),
        (Standing(in_force=OLD), NEW, NEW),
        (Standing(in_force=OLD, left=LEFT), OLD, OLD),
        (Standing(in_force=OLD, left=LEFT), NEW, OLD),
        (Standing(in_force=OLD, left=LEFT), "2" * 12, "2" * 12),
        (Standing(in_force=OLD, trial=TRIAL), NEW, OLD),
        (Standing(in_force=OLD, trial=TRIAL), OLD, OLD),
        (Standing(in_force=OLD, trial=TRIAL), "2" * 12, "2" * 12),
    ],
)
def test_a_start_takes_the_file_unless_it_was_left(before: Standing, given: str, runs: str) -> None:
    """A trial that was under way has failed; what has failed is not run by accident."""
    after = at_start(before, given, file="gateway.toml", now_ns=9)
    assert (after.in_force, after.trial) == (runs, None)
    if before.trial is not None:
        assert after.left is not None
        assert after.left.digest == NEW
    assert at_start(after, given, file="gateway.toml", now_ns=10).in_force == runs
