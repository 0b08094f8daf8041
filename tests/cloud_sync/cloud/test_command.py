"""The operator's command against a running cloud."""

import asyncio
import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from cloud_sync.cloud.settings import CloudSettings, read_cloud_settings
from gateway.cli.cloud import command
from gateway.core.errors import ConfigError, UplinkError
from gateway.core.settings import Settings
from tests.cloud_sync.cloud.batches import batch, frame_record
from tests.cloud_sync.cloud.bundles import bundle_bytes
from tests.cloud_sync.cloud.processes import CloudFolder, Gateway, serving_here

README = Path(__file__).parents[3] / "cloud_sync" / "README.md"


async def invoke(*arguments: str) -> Result:
    """Run the command as in a shell of its own."""
    return await asyncio.to_thread(
        CliRunner().invoke, command, arguments, catch_exceptions=True
    )  # fmt: skip


async def test_operator_releases_and_looks(tmp_path: Path) -> None:
    site = CloudFolder(tmp_path / "cloud")
    (tmp_path / "pump.ewm").write_bytes(bundle_bytes())
    async with serving_here(site) as url, Gateway(url, site.token) as gateway:
        asks = ("--url", url, "--token-file", str(site.folder / "operator.token"))
        released = await invoke("release", str(tmp_path / "pump.ewm"), *asks)
        assert (released.exit_code, released.output) == (
            0,
            "pump-anomaly 1.0 is released as models/pump-anomaly/pump-anomaly-1.0.ewm\n",
        )
        again = await invoke("release", str(tmp_path / "pump.ewm"), *asks)
        assert isinstance(again.exception, UplinkError)
        assert "not above the released 1.0" in str(again.exception)
        await gateway.send(batch(frame_record(1)))
        status = await invoke("status", *asks)
        assert "pumphouse-1" in status.output
        assert "4 rows wait for a file" in status.output
        as_json = json.loads((await invoke("status", *asks, "--json")).output)
        assert as_json["gateways"][0]["sample_count"] == 4
        unknown = await invoke("retrain", "blower-anomaly", *asks)
        assert "no version of blower-anomaly" in str(unknown.exception)


async def test_token_never_travels_in_the_clear(tmp_path: Path) -> None:
    token = tmp_path / "token"
    token.write_text("secret")
    asked = await invoke("status", "--url", "http://192.0.2.1", "--token-file", str(token))
    assert isinstance(asked.exception, ConfigError)


async def test_renewal_needs_the_cloud_to_be_stopped(tmp_path: Path) -> None:
    site = CloudFolder(tmp_path / "cloud")
    keys = str(site.folder / "state" / "keys")
    async with serving_here(site):
        refused = await invoke("renew", "-c", str(site.configuration), "--keys", keys)
        assert "in use by another process" in str(refused.exception)
    renewed = await invoke("renew", "-c", str(site.configuration), "--keys", keys)
    assert renewed.exit_code == 0, renewed.output


async def test_init_wants_sensible_names(tmp_path: Path) -> None:
    refused = await invoke("init", str(tmp_path / "x"), "--gateway", "a b", "--gateway", "../c")
    assert isinstance(refused.exception, ConfigError)
    assert len(refused.exception.mistakes) == 2
    assert not (tmp_path / "x").exists()


def test_every_mistake_in_the_configuration_is_told_at_once(tmp_path: Path) -> None:
    path = tmp_path / "cloud.toml"
    path.write_text(
        'operator_token_sha256 = "short"\nunknown = 1\n[gateways."a b"]\ntoken_sha256 = ""\n'
        "[lake]\nperiod_s = 0\n"
    )
    with pytest.raises(ConfigError) as raised:
        read_cloud_settings(path)
    places = {mistake.split(":")[0] for mistake in raised.value.mistakes}
    assert {"operator_token_sha256", "unknown", "lake.period_s"} <= places
    assert any(place.startswith("gateways.a b") for place in places)


@pytest.mark.parametrize(
    ("server", "fault"),
    [
        ('host = "0.0.0.0"', "travel in the clear"),
        ('tls_key_file = "x"', "belong together"),
        ('tls_key_file = "x"\ntls_certificate_file = "y"', None),
        ('host = "0.0.0.0"\nplain_http = "anywhere"', None),
    ],
)
def test_plain_http_stays_on_the_machine(tmp_path: Path, server: str, fault: str | None) -> None:
    path = tmp_path / "cloud.toml"
    path.write_text(f'operator_token_sha256 = "{"0" * 64}"\n[gateways]\n[server]\n{server}\n')
    if fault is None:
        read_cloud_settings(path)
        return
    with pytest.raises(ConfigError, match=fault):
        read_cloud_settings(path)


def test_manual_names_every_option() -> None:
    text = README.read_text()
    missing = [name for name in _option_names(CloudSettings) if f"`{name}`" not in text]
    assert missing == []


def _option_names(model: type[Settings], prefix: str = "") -> list[str]:
    names = []
    for name, field in model.model_fields.items():
        inner = field.annotation
        if isinstance(inner, type) and issubclass(inner, Settings):
            names += _option_names(inner, f"{prefix}{name}.")
        else:
            names.append(prefix + name)
    return names
