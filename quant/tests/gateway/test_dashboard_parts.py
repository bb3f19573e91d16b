"""The parts of the dashboard's routes that do no I/O, against plainer ways to the same figures."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from barnabas_quant.backtest.progress import Progress, ProgressFile, read_progress
from barnabas_quant.backtest.sources import FOREVER
from barnabas_quant.backtest.trades import TradeBook
from barnabas_quant.errors import QuantError
from barnabas_quant.gateway.comparison import compared, grid, sampled
from barnabas_quant.gateway.portfolio import View
from barnabas_quant.gateway.prices import Price
from barnabas_quant.gateway.risk import Known, Risk, Use, mark_of, risk_of
from barnabas_quant.gateway.strategy_book import Record, StrategyBook
from barnabas_quant.model.money import ONE
from barnabas_quant.settings import Limits, Rule, StrategySettings, Trading, Watch
from barnabas_quant.strategies.switching import StrategyEvent
from barnabas_quant.trading.events import Alert, Bar, EquityEvent, Fill, PositionEvent, Signal, text

BTC, ETH, PERPETUAL, SHARE = "binance:BTCUSDT", "binance:ETHUSDT", "binance_usdm:BTCUSDT", "sse:600519"


# A machine that is busy is slow to make examples, and to work one off.
calm = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])


# What strategies earned


def fill(number: int, side: str, quantity: int, price: int, key: str = BTC, **more: Any) -> Fill:
    return Fill(
        seq=number, time=number, fill=f"{number}-0", instrument=key, side="BUY" if side == "BUY" else "SELL",
        price=text(price * ONE), quantity=text(quantity * ONE // 10), taxes="0" if price % 2 else "0.01",
        currency="USDT" if key != SHARE else "CNY", liquidity="taker", slippage="0",
        **{
            "strategy": "ONE", "order": f"{key}-{number // 3}", "fee": "0" if price % 2 else "0.07", **more,
        },
    )  # fmt: skip


@calm
@given(
    st.lists(
        st.tuples(
            st.sampled_from(("BUY", "SELL")), st.integers(1, 20), st.integers(1, 50), st.sampled_from((BTC, ETH, SHARE))
        ),
        max_size=40,
    )
)
def test_profit_is_that_of_the_trades_of_a_report(deals: Sequence[tuple[str, int, int, str]]) -> None:
    book, record = TradeBook(), Record()
    for number, (side, quantity, price, key) in enumerate(deals):
        one = fill(number, side, quantity, price, key)
        book.fill(one)
        record.fill(one)
        for profit in record.profit():
            trades = [trade for trade in book.trades if trade.currency == profit.currency]
            assert Decimal(profit.realized) * ONE == sum(trade.profit for trade in trades)
            assert (profit.trades, profit.won) == (len(trades), sum(trade.profit > 0 for trade in trades))
            held = sum(each.fees for each in book.open.values() if each.currency == profit.currency)
            assert Decimal(profit.fees) * ONE == sum(trade.fees for trade in trades) + held
            assert Decimal(profit.open_fees) * ONE == held
    assert {each.instrument: Decimal(each.quantity) * ONE for each in record.positions()} == {
        key: held.quantity for key, held in book.open.items() if held.quantity
    }


def event(alias: str, state: Any, **more: Any) -> StrategyEvent:
    return StrategyEvent(strategy=alias, time=5, state=state, **{"name": "MACD", "symbols": (BTC,), **more})


def test_the_settings_come_first_then_what_runs_beside_them() -> None:
    book, wanted = StrategyBook(), [
        StrategySettings(name="MACD", symbols=("BTCUSDT",)), StrategySettings(name="own.py", symbols=("BTCUSDT",)),
        StrategySettings(name="MACD", alias="SLOW", symbols=("BTCUSDT",)),
    ]  # fmt: skip
    assert [(one.alias, one.state, one.signals) for one in book.listed(wanted)] == [
        ("MACD", None, None), ("own.py", None, None), ("SLOW", None, None),
    ]  # fmt: skip
    for told in (event("BESIDE", "running"), event("OWN", "failed", name="own.py", reason="why", where="where"),
                 event("GONE", "removed"), event("SLOW", "stopped", who="anna"), event("NOBODY", None)):  # fmt: skip
        book.take(told, 7)
    book.take(Signal("s", 3, "BUY", BTC, ONE, ONE, "SLOW"), 7)
    book.take(Signal("s", 3, "BUY", BTC, ONE, ONE, "SLOW", "anna"), 7)  # another account's
    book.take(fill(1, "BUY", 1, 1, strategy="SLOW", account="anna"), 7)
    book.known = True
    book.earlier_signals({"SLOW": 4})
    listed = {one.alias: one for one in book.listed(wanted)}
    assert list(listed) == ["MACD", "OWN", "SLOW", "BESIDE"]
    assert listed["OWN"].failure is not None and listed["OWN"].failure.where == "where" and listed["OWN"].file
    assert (listed["SLOW"].state, listed["SLOW"].who, listed["SLOW"].since) == ("stopped", "anna", 7000)
    assert (listed["SLOW"].signals, listed["SLOW"].fills) == (5, 0)
    assert book.alias_of(wanted[1]) == "OWN"


def test_what_risk_closes_is_a_trade_of_the_strategy_that_held_it() -> None:
    wanted = [StrategySettings(name="MACD", alias=alias, symbols=("BTCUSDT",)) for alias in ("FIRST", "SECOND")]
    book = StrategyBook(wanted)
    book.known = True
    book.take(fill(1, "BUY", 2, 10, strategy="SECOND"), 7)
    book.take(fill(2, "BUY", 1, 10, strategy="FIRST"), 7)
    book.take(fill(3, "SELL", 2, 7, strategy="stop_loss", order=f"stop_loss:{BTC}:3", fee="0.5"), 7)
    first, second = book.listed(wanted)
    assert first.positions == [] and first.profit is not None and first.profit[0].trades == 1
    assert second.positions is not None and [each.quantity for each in second.positions] == ["0.1"]
    assert (first.fills, second.fills) == (1, 1)
    told = [each.profit[0] for each in (first, second) if each.profit]
    assert [one.fees for one in told] == ["0.33", "0.33"]  # 0.08 of the purchase, half of the sale's 0.5
    assert len(book.listed(wanted)) == 2  # the rule is no strategy


# Risk


def price(key: str, bid: str | None, ask: str | None, last: str | None = None, age: int = 1500) -> Price:
    exchange, symbol = key.split(":")
    return Price(
        exchange=exchange, symbol=symbol, price=last, bid=bid, bid_size="1", ask=ask, ask_size="1", kind="quote",
        update_id=1, event_time=1, receive_time=1, source="redis", age_ms=age,
    )  # fmt: skip


def view_of(**positions: tuple[str, str]) -> View:
    view = View("anna")
    keys = {"btc": BTC, "eth": ETH, "perpetual": PERPETUAL, "share": SHARE}
    for number, (name, (quantity, average)) in enumerate(positions.items()):
        view.take(
            PositionEvent(
                seq=number, time=1, account="anna", instrument=keys[name], quantity=quantity, available=quantity,
                average_price=average, realized="0", fees="0",
            )
        )  # fmt: skip
    for number, currency in enumerate(("USDT", "CNY")):
        view.take(
            EquityEvent(
                seq=10 + number, time=9, account="anna", currency=currency, cash="500", held="0", positions="0",
                equity="900", peak="1000",
            )
        )  # fmt: skip
    return view


SETTINGS = Trading(
    limits=Limits(position="4", leverage="2", symbols=(BTC,), orders_per_second=5),
    watch=Watch(stop_loss=Rule(warning="0.1", critical="0.2"), stale=Rule(warning="30")),
)


def uses(risk: Risk, name: str) -> dict[str, Use]:
    (found,) = [each for each in (*risk.limits, *risk.rules) if each.name == name]
    return {use.subject: use for use in found.uses}


def risk(view: View, prices: dict[str, Price | None], **more: Any) -> Risk:
    known: dict[str, Any] = {"ages": {"binance": 2500}, "began": {"USDT": 1000 * ONE, "CNY": None}, "orders": 2}
    return risk_of(view, SETTINGS, Known(prices=prices, **{**known, **more}))


def test_what_long_and_short_use() -> None:
    view = view_of(btc=("2", "100"), perpetual=("-3", "100"), share=("100", "9"))
    prices = {
        BTC: price(BTC, "89", "91"),
        PERPETUAL: price(PERPETUAL, "109", "111"),
        SHARE: price(SHARE, None, None, "9.9"),
    }
    told = risk(view, prices)
    assert {key: use.share for key, use in uses(told, "position").items()} == {
        BTC: "0.5", PERPETUAL: "0.75", SHARE: "25",
    }  # fmt: skip
    assert {key: use.value for key, use in uses(told, "gross_notional").items()} == {"USDT": "510", "CNY": "990"}
    assert uses(told, "leverage")["USDT"].value == text(510 * ONE // 900)
    assert {key: use.value for key, use in uses(told, "stop_loss").items()} == {
        BTC: "0.1", PERPETUAL: "0.1", SHARE: "-0.1",
    }  # fmt: skip
    assert uses(told, "stop_loss")[BTC].share == "0.5"
    assert {key: use.value for key, use in uses(told, "daily_loss").items()} == {"USDT": "0.1", "CNY": None}
    assert uses(told, "drawdown")["USDT"].value == "0.1" and uses(told, "orders_per_second")["anna"].share == "0.4"
    assert {key: use.value for key, use in uses(told, "stale").items()} == {BTC: "1.5", PERPETUAL: "1.5", SHARE: None}
    assert uses(told, "stale")[BTC].share == "0.05"
    assert {key: use.value for key, use in uses(told, "silent").items()} == {
        "binance": "2.5", "binance_usdm": None, "sse": None,
    }  # fmt: skip
    # 0.4 % of 330 is kept of 500 in cash less 30 that are lost.
    assert uses(told, "liquidation")["USDT"].value == text(ONE * 132 // 100 * ONE // (470 * ONE))
    assert told.symbols == (BTC,) and told.time == 9


def test_what_cannot_be_known_is_not_guessed() -> None:
    view = view_of(btc=("2", "100"), eth=("1", "10"))
    told = risk(view, {BTC: price(BTC, "89", "91"), ETH: None}, began={}, ages={})
    assert uses(told, "gross_notional")["USDT"].value is None and uses(told, "exposure")["USDT"].value is None
    assert uses(told, "position_notional")[BTC].value == "180" and uses(told, "position_notional")[ETH].value is None
    for name in ("trailing_stop", "volatility", "crossed", "silent", "daily_loss"):
        assert {use.value for use in uses(told, name).values()} == {None}, name
    view.trading, view.switch = True, "reset by anna: "
    assert uses(risk(view, {}), "drawdown")["USDT"].value is None  # it began anew with the reset


def test_what_the_service_told_of_a_condition_stands_beside_it() -> None:
    view = view_of(btc=("2", "100"))
    for rule, subject in (("trailing_stop", BTC), ("silent", "okx")):
        view.take(
            Alert(
                seq=len(view.holds), time=8, account="anna", rule=rule, subject=subject, state="fired", level="warning",
                action="none", reason="because", numbers={},
            )
        )  # fmt: skip
    told = risk(view, {BTC: None})
    held = uses(told, "trailing_stop")[BTC]
    assert (held.value, held.level, held.since, held.reason) == (None, "warning", 8, "because")
    assert uses(told, "silent")["okx"].level == "warning" and uses(told, "silent")["binance"].level is None


@pytest.mark.parametrize(
    ("bid", "ask", "last", "mark"),
    [("1", "3", "9", 2), ("3", "1", "9", 9), (None, "3", "9", 9), ("0", "3", None, None), (None, None, None, None)],
)
def test_the_price_that_a_position_is_judged_by(
    bid: str | None, ask: str | None, last: str | None, mark: int | None
) -> None:
    assert mark_of(price(BTC, bid, ask, last)) == (None if mark is None else mark * ONE)


# Curves side by side


def write_curve(path: Path, rows: Sequence[tuple[str, int, str]]) -> Path:
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(("currency", "time", "equity", "held"))
        writer.writerows((*row, "0") for row in rows)
    return path


@calm
@given(
    times=st.lists(st.integers(0, 60), min_size=1, max_size=20), asked=st.lists(st.integers(0, 70), max_size=20),
)  # fmt: skip
def test_a_curve_is_worth_what_was_told_last(
    tmp_path_factory: pytest.TempPathFactory, times: list[int], asked: list[int]
) -> None:
    rows = [("USDT", time, str(number)) for number, time in enumerate(sorted(times))]
    path = write_curve(tmp_path_factory.getbasetemp() / "curve.csv", [*rows, ("CNY", 3, "x")])
    last = {
        time: str(max(number for number, (_, at, _) in enumerate(rows) if at <= time))
        for time in asked
        if time >= min(times)
    }
    expected = [None if time > max(times) else last.get(time) for time in sorted(asked)]
    assert sampled(path, "USDT", sorted(asked)) == expected


@calm
@given(st.integers(0, 10**16), st.integers(0, 10**7), st.integers(2, 50))
def test_a_grid_reaches_from_end_to_end(begin: int, length: int, points: int) -> None:
    times = grid(begin, begin + length, points)
    assert times[0] == begin and times[-1] == begin + length
    assert times == sorted(set(times)) and len(times) <= points


def test_two_of_different_currencies(tmp_path: Path) -> None:
    a = write_curve(tmp_path / "a.csv", [("USDT", 1, "5"), ("USDT", 9, "7")])
    b = write_curve(tmp_path / "b.csv", [("CNY", 2, "6")])
    usdt, cny = compared((a, {"USDT": {"begin": 1, "end": 9}}), (b, {"CNY": {"begin": 2, "end": 2}}), 3)
    assert (usdt.times, usdt.equity_a, usdt.equity_b, usdt.b) == ([1, 5, 9], ["5", "5", "7"], [None] * 3, None)
    assert (cny.times, cny.equity_a, cny.equity_b) == ([2], [None], ["6"])


# Progress


def test_how_far_a_backtest_is_by_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("barnabas_quant.backtest.progress._EVERY", 0.0)
    path, seen = tmp_path / "progress.json", []
    assert read_progress(path) is None
    events = [Bar(BTC, time, 0, "1m", 1, 1, 1, 1, 1) for time in range(1000, 2024)]
    for event in ProgressFile(path, 3000).watched(iter(events)):
        if not event.time % 256:
            seen.append(read_progress(path))
    shown = [(each.events, each.percent) for each in seen if isinstance(each, Progress)]
    assert shown[0] == (0, None) and (256, 12.8) in shown
    assert shown == sorted(shown, key=lambda each: each[0])
    done = read_progress(path)
    assert done is not None and (done.events, done.percent) == (1024, 100.0)
    path.write_bytes(b"half")
    assert read_progress(path) is None


def test_what_has_no_end_ends_now(tmp_path: Path) -> None:
    path = tmp_path / "progress.json"
    bars = [Bar(BTC, time, 0, "1m", 1, 1, 1, 1, 1) for time in (1_000_000, 2_000_000)]
    assert len(list(ProgressFile(path, FOREVER, lambda: 5.0).watched(iter(bars)))) == 2
    assert (done := read_progress(path)) is not None and done.time == 5_000_000
    with pytest.raises(QuantError, match="cannot write"):
        ProgressFile(tmp_path / "nowhere" / "x.json", 5)
