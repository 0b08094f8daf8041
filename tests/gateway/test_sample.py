"""`sample.toml` is made from the models, holds every option, and is a valid configuration."""

import tomllib
from pathlib import Path

from gateway.config import Config
from gateway.sample import sample

ROOT = Path(__file__).parents[2]


def test_the_file_is_what_the_models_say() -> None:
    """After a change of options: `python -m gateway.sample > sample.toml`."""
    assert (ROOT / "sample.toml").read_text(encoding="utf-8") == sample()


def test_the_sample_is_a_valid_configuration() -> None:
    config = Config.model_validate(tomllib.loads(sample()))
    assert set(config.connectors) == {"pumps", "blower", "mixer", "site"}


def test_every_option_is_explained_in_a_sentence() -> None:
    lines = sample().splitlines()
    options = [k for k, line in enumerate(lines) if " =" in line and not line.startswith("##")]
    bare = [lines[k] for k in options if not lines[k - 1].startswith("##")]
    assert bare == []
