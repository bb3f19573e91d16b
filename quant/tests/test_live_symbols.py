"""Symbols of a live feed, changed while it runs."""

from __future__ import annotations

from pathlib import Path

import pytest

from barnabas_quant.cli import main
from barnabas_quant.errors import SettingsError
from barnabas_quant.feeds.live.symbols import SymbolsFile, change_symbols, symbols_path
from barnabas_quant.model import Trade
from barnabas_quant.settings import Settings, Venue

from .conftest import eventually
from .road import running_road

embedded = pytest.importorskip("barnabas.embedded", reason="the package barnabas is not installed")


def test_the_file_is_read_when_it_has_changed_and_rubbish_is_left_out(tmp_path: Path) -> None:
    path = tmp_path / "x.symbols"
    file = SymbolsFile(path)
    assert file.read() is None
    path.write_bytes(b"BTCUSDT  # the first\n\n# none\nETH-USDT\nBTCUSDT\n../etc\nA B\n\xff\xfe\n" + b"Z" * 60 + b"\n")
    assert file.read() == ("BTCUSDT", "ETH-USDT")
    path.write_text("")
    assert file.read() == ()
    path.unlink()
    assert file.read() is None


def test_the_command_writes_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["symbols", "--data", str(tmp_path), "okx"]
    assert main(words) == 0
    assert capsys.readouterr().out.split() == ["BTC-USDT", "ETH-USDT"]
    assert not symbols_path(tmp_path, "okx").exists()
    assert main([*words, "+SOL-USDT", "-BTC-USDT", "+SOL-USDT"]) == 0
    assert symbols_path(tmp_path, "okx").read_text() == "ETH-USDT\nSOL-USDT\n"
    assert main([*words, "-BTC-USDT"]) == 2
    assert main(["symbols", "--data", str(tmp_path), "nowhere", "+A"]) == 2
    settings = Settings(data=tmp_path, venues={"x": Venue()})
    for change in ("A", "+", "-", "+a/b", "+../x"):
        with pytest.raises(SettingsError):
            change_symbols(settings, "x", [change])


@pytest.mark.long
def test_symbols_that_come_and_go_while_the_feed_runs(tmp_path: Path) -> None:
    with embedded.Broker() as broker:
        known = ["BTC-USDT", "ETH-USDT", "BNB-USDT"]
        symbols_path(tmp_path, "okx").parent.mkdir()
        symbols_path(tmp_path, "okx").write_text("BTC-USDT\n")
        with running_road(tmp_path, broker.bootstrap, "okx", known, 31) as made:

            def traded() -> set[str]:
                return {record.symbol for record in made.records(Trade)}

            eventually(lambda: traded() == {"BTC-USDT"})
            assert main(["symbols", "--data", str(tmp_path), "okx", "+BNB-USDT", "-BTC-USDT"]) == 0
            eventually(lambda: "BNB-USDT" in traded())
            left = len([record for record in made.records(Trade) if record.symbol == "BTC-USDT"])
            count = len(made.records(Trade))
            made.wait_until_told(Trade, count + 10)
            assert traded() == {"BTC-USDT", "BNB-USDT"}
            assert len([record for record in made.records(Trade) if record.symbol == "BTC-USDT"]) == left
            assert main(["symbols", "--data", str(tmp_path), "okx", "+BTC-USDT"]) == 0
            eventually(lambda: len([one for one in made.records(Trade) if one.symbol == "BTC-USDT"]) > left)
            made.feed.end()
            numbers = [record.trade_id for record in made.records(Trade) if record.symbol == "BTC-USDT"]
    assert numbers == list(range(numbers[0], numbers[0] + len(numbers)))  # those missed in between were fetched
