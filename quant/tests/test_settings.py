"""Settings: what overrules what, and errors that name the key and the place."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from barnabas_quant.errors import SettingsError
from barnabas_quant.settings import Settings, completed, load_settings, write_settings


def load(given: dict[str, Any] | None = None, file: Path | None = None, **environ: str) -> Settings:
    return load_settings(given or {}, file, {f"BARNABAS_QUANT_{name}": text for name, text in environ.items()})


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)  # no barnabas-quant.toml of the developer's


def test_nothing_given_means_embedded() -> None:
    settings = load()
    assert (settings.kafka, settings.redis, settings.clickhouse) == (None, None, None)
    assert settings.primary == "binance"
    with pytest.raises(SettingsError, match="--kafka"):
        _ = settings.bootstrap


def test_the_command_line_overrules_the_environment_and_that_the_file(tmp_path: Path) -> None:
    file = tmp_path / "some.toml"
    file.write_text('kafka = "file:1"\nredis = "redis://file"\nclickhouse = "http://file"\nprimary = "okx"\n')
    settings = load({"kafka": "line:1", "redis": None}, file, KAFKA="env:1", REDIS="redis://env")
    assert settings.kafka == "line:1"
    assert settings.redis == "redis://env"
    assert settings.clickhouse == "http://file"
    assert settings.primary == "okx"


def test_a_file_in_the_working_folder_is_read(tmp_path: Path) -> None:
    (tmp_path / "barnabas-quant.toml").write_text("seed = 7\n")
    assert load().seed == 7


def test_numbers_of_the_environment_are_numbers() -> None:
    assert load(SEED="9").seed == 9


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        ("kafka_adress = 'x:1'", "kafka_adress"),
        ("seed = 'many'", "seed"),
        ("redis_listen = 'nowhere'", "redis_listen"),
        ("listen = ['localhost']", "listen"),
        ("[history]\nrows = 0", "history.rows"),
        ("[venues.binance]\nsymbol = ['BTCUSDT']", "symbol"),
        ("[replay]\nspeed = -1", "replay.speed"),
        ("seed = ", "some.toml"),
    ],
)
def test_what_is_wrong_is_named(tmp_path: Path, text: str, wrong: str) -> None:
    file = tmp_path / "some.toml"
    file.write_text(text)
    with pytest.raises(SettingsError, match=wrong) as caught:
        load(file=file)
    assert "some.toml" in str(caught.value)


def test_a_file_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"none\.toml"):
        load(file=tmp_path / "none.toml")


def test_what_is_written_is_read_again(tmp_path: Path) -> None:
    file = tmp_path / "some.toml"
    file.write_text(
        'metrics_listen = "off"\n[replay]\nfiles = ["a.gz"]\nspeed = "max"\n[venues.okx]\nsymbols = ["BTC-USDT"]\n'
    )
    settings = load({"kafka": "k:1"}, file)
    assert settings.metrics_listen is None
    assert settings.replay.speed is None
    write_settings(settings, tmp_path / "settings.json")
    assert load(file=tmp_path / "settings.json") == settings


def test_a_running_platform_fills_in_what_nobody_named() -> None:
    from barnabas_quant.endpoints import Endpoints

    running = Endpoints(kafka="run:1", redis="redis://run", clickhouse="http://run")
    settings = completed(load({"redis": "redis://mine"}), running)
    assert (settings.kafka, settings.redis, settings.clickhouse) == ("run:1", "redis://mine", "http://run")
