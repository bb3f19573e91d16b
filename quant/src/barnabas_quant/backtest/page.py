"""The HTML page of a report: one file, no script, nothing fetched (its own policy forbids it), light or dark.

Whatever comes from a strategy, a file or a topic is escaped.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from html import escape

from barnabas_quant.backtest.charts import Box, Line, Mark, candle_chart, line_chart, thinned
from barnabas_quant.backtest.metrics import Metrics, daily_returns, monthly_returns, rolling_sharpe
from barnabas_quant.backtest.results import Result
from barnabas_quant.backtest.trades import Trade
from barnabas_quant.model.intervals import DAY, SECOND
from barnabas_quant.model.money import ONE, units
from barnabas_quant.trading.events import Fill, text

_SHOWN = 1000  # trades in the table; trades.csv has all
_MARKS = 600  # arrows of a chart
_WINDOW = 60  # days of the rolling Sharpe ratio

_STYLE = """
:root{color-scheme:light dark;--ink:#1d2733;--dim:#66727f;--page:#f6f7f9;--card:#fff;--rule:#e3e7ec;--main:#2563a8;
--good:#1a7f4e;--bad:#b3373b;--other:#a86a10}
@media(prefers-color-scheme:dark){:root{--ink:#dfe5ec;--dim:#8d99a6;--page:#12161b;--card:#1a2027;--rule:#2c343d;
--main:#6fb0f0;--good:#4cc38a;--bad:#f0787b;--other:#e0a84a}}
*{box-sizing:border-box}body{margin:0;background:var(--page);color:var(--ink);
font:14px/1.45 system-ui,-apple-system,"Segoe UI","Noto Sans CJK SC",sans-serif}
main{max-width:1100px;margin:0 auto;padding:20px 16px 60px}h1{font-size:22px;margin:0 0 2px}
h2{font-size:15px;margin:0 0 8px}
.sub,.none,.note{color:var(--dim)}section{background:var(--card);border:1px solid var(--rule);border-radius:8px;
padding:14px 16px;margin:14px 0;overflow-x:auto}
.figures{display:grid;grid-template-columns:repeat(auto-fill,minmax(150px,1fr));gap:10px 18px;margin:0}
.figures div{min-width:0}dt{color:var(--dim);font-size:12px}
dd{margin:0;font-size:16px;font-variant-numeric:tabular-nums}
.good{color:var(--good)}.bad{color:var(--bad)}svg{width:100%;height:auto;display:block}
svg polyline{fill:none;stroke-width:1.5;stroke-linejoin:round}svg .grid{stroke:var(--rule);stroke-width:1}
svg .label{fill:var(--dim);font-size:11px}svg .equity,svg .price,svg .rolling{stroke:var(--main)}
svg .held{stroke:var(--other)}svg .fall{stroke:var(--bad)}
svg polygon.area{stroke:none;fill-opacity:.16}svg polygon.fall{fill:var(--bad)}svg polygon.held{fill:var(--other)}
svg polygon.price{fill:var(--main)}svg .up{stroke:var(--good);fill:var(--good)}
svg .down{stroke:var(--bad);fill:var(--bad)}
svg .buy{fill:var(--good);stroke:var(--card);stroke-width:.8}
svg .sell{fill:var(--bad);stroke:var(--card);stroke-width:.8}
table{border-collapse:collapse;width:100%;font-variant-numeric:tabular-nums}
th{font-weight:600;color:var(--dim);font-size:12px}th,td{text-align:right;padding:3px 8px;border-bottom:
1px solid var(--rule);white-space:nowrap}th:first-child,td:first-child,.left{text-align:left}
pre{white-space:pre-wrap;margin:0}
ul{margin:0;padding-left:18px}
"""

_MONTHS = "Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec".split()


def page(result: Result, notes: Sequence[str] = ()) -> str:
    """Write the page."""
    title = f"{result.name}: {', '.join(result.setup.instruments)}"
    first = next(iter(result.metrics.values()))
    offset = result.offsets[first.currency]
    chosen = ", ".join(f"{name}={value}" for name, value in result.parameters.items() if value != "")
    span = f"{_moment(first.begin, offset)} to {_moment(first.end, offset)} {_zone(offset)}"
    body = [
        f"<h1>{escape(title)}</h1>",
        f'<p class="sub">{escape(span)} · {result.events:,} events · {escape(chosen or "no parameters")}</p>',
        _warnings(result, notes),
    ]
    for currency, metrics in result.metrics.items():
        body += _account(result, currency, metrics)
    for key in result.setup.instruments:
        body.append(_prices(result, key))
    body += [_orders(result), _trades(result, offset), _settings(result)]
    policy = "default-src 'none'; style-src 'unsafe-inline'"
    return (
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>{escape(title)}</title>'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">'
        f'<meta name="viewport" content="width=device-width,initial-scale=1"><style>{_STYLE}</style></head>'
        f"<body><main>{''.join(body)}</main></body></html>\n"
    )


def figures(metrics: Metrics) -> list[tuple[str, str, int]]:
    """Give name, value and sign (0: neither good nor bad) of all figures, as page and command line show them."""
    m = metrics
    return [
        ("Total return", percent(m.total_return), _sign(m.total_return)),
        (f"Profit, {m.currency}", money(m.profit), _sign(m.profit)),
        (f"Equity, {m.currency}", money(m.last), 0),
        ("CAGR", percent(m.cagr), _sign(m.cagr)),
        ("Volatility", percent(m.volatility), 0),
        ("Sharpe", number(m.sharpe), _sign(m.sharpe)),
        ("Sortino", number(m.sortino), _sign(m.sortino)),
        ("Calmar", number(m.calmar), _sign(m.calmar)),
        ("Max drawdown", percent(m.max_drawdown), _sign(m.max_drawdown)),
        ("Longest drawdown", f"{m.max_drawdown_days:,.1f} days", 0),
        ("Trades", f"{m.trades:,}", 0),
        ("Hit rate", percent(m.hit_rate), 0),
        ("Profit factor", number(m.profit_factor), 0),
        ("Average trade", "–" if m.average_profit is None else money(m.average_profit), _sign(m.average_profit)),
        ("Turnover a year", number(m.turnover), 0),
        ("Fees", money(m.fees), 0),
        ("Taxes", money(m.taxes), 0),
        ("Slippage", money(m.slippage), 0),
        ("Exposure", percent(m.exposure), 0),
        ("Time in market", percent(m.time_in_market), 0),
    ]


def money(amount: int) -> str:
    """Write units with two decimal places, rounded half up, and commas."""
    cents = (2 * abs(amount) + ONE // 100) // (2 * (ONE // 100))
    return f"{'-' if amount < 0 and cents else ''}{cents // 100:,}.{cents % 100:02d}"


def percent(share: float | None) -> str:
    """Write a share; a dash for one that is not there."""
    return "–" if share is None else f"{share * 100:,.2f} %"


def number(value: float | None) -> str:
    """Write a ratio."""
    return "–" if value is None else f"{value:,.2f}"


def _account(result: Result, currency: str, metrics: Metrics) -> list[str]:
    curve, offset, periods = result.curves[currency], result.offsets[currency], result.periods[currency]
    cells = "".join(
        f'<div><dt>{escape(name)}</dt><dd class="{("bad", "", "good")[sign + 1]}">{escape(value)}</dd></div>'
        for name, value, sign in figures(metrics)
    )
    times, worth = thinned(curve.times, [value / ONE for value in curve.equity])
    peak, falls = 0.0, []
    for value in (value / ONE for value in curve.equity):
        peak = max(peak, value)
        falls.append(value / peak - 1 if peak > 0 else 0.0)
    fall_times, fallen = thinned(curve.times, falls)
    held_times, held = thinned(
        curve.times, [h / e if e > 0 else 0.0 for h, e in zip(curve.held, curve.equity, strict=True)]
    )
    days, returns = daily_returns(curve.times, curve.equity, offset)
    day_times = [day * DAY - offset for day in days]
    window = min(_WINDOW, max(20, len(days) // 4))
    rolling = rolling_sharpe(returns, window, periods)
    if len(days) > 1000:
        step = len(days) // 1000 + 1
        day_times, rolling = day_times[::step], rolling[::step]
    note = "" if metrics.cagr is not None else (
        f'<p class="note">{metrics.days} daily returns: too few for figures of a year.</p>'
    )  # fmt: skip
    return [
        f'<section><h2>Figures, {escape(currency)}</h2><dl class="figures">{cells}</dl>{note}</section>',
        _section(f"Equity, {currency}", line_chart(times, [Line(worth, "equity")], _short, offset, 260)),
        _section("Drawdown", line_chart(fall_times, [Line(fallen, "fall", True)], _percent0, offset, 150)),
        _section(
            "Exposure (what is held, gross, over equity)",
            line_chart(held_times, [Line(held, "held", True)], _percent0, offset, 130),
        ),
        _section(
            f"Rolling Sharpe ratio, {window} days",
            line_chart(day_times, [Line(rolling, "rolling")], lambda value: f"{value:.1f}", offset, 160),
        ),
        _months(days, returns),
    ]


def _months(days: Sequence[int], returns: Sequence[float]) -> str:
    monthly = monthly_returns(days, returns)
    rows = []
    for year in sorted({year for year, _ in monthly}):
        whole, cells = 1.0, []
        for month in range(1, 13):
            found = monthly.get((year, month))
            if found is None:
                cells.append("<td></td>")
                continue
            whole *= 1 + found
            cells.append(_shaded(found))
        rows.append(f"<tr><td>{year}</td>{''.join(cells)}{_shaded(whole - 1)}</tr>")
    head = "".join(f"<th>{name}</th>" for name in (*_MONTHS, "Year"))
    return _section("Returns by month, %", f"<table><tr><th></th>{head}</tr>{''.join(rows)}</table>")


def _shaded(value: float) -> str:
    colour = "var(--good)" if value > 0 else "var(--bad)"
    strength = 0 if abs(value) < 5e-5 else min(60, 8 + round(abs(value) * 400))
    return (
        f'<td style="background:color-mix(in srgb,{colour} {strength}%,transparent)">{value * 100:.2f}</td>'
    )  # fmt: skip


def _prices(result: Result, key: str) -> str:
    candles = result.candles[key].kept
    if not candles:
        return _section(key, '<p class="none">no prices</p>')
    offset = next(
        (result.offsets[fill.currency] for fill in result.fills if fill.instrument == key),
        next(iter(result.offsets.values())),
    )
    times = [candle.time for candle in candles]
    fills = [fill for fill in result.fills if fill.instrument == key]
    shown = fills if len(fills) <= _MARKS else fills[:: len(fills) // _MARKS + 1]
    marks = [
        Mark(
            max(0, bisect_right(times, fill.time) - 1),
            units(fill.price) / ONE,
            fill.side == "BUY",
            _title(fill, offset),
        )
        for fill in shown
    ]
    boxes = [Box(c.open / ONE, c.high / ONE, c.low / ONE, c.close / ONE) for c in candles]
    left_out = f", {len(shown)} of {len(fills)} shown" if len(shown) < len(fills) else ""
    name = f"{key}: price and {len(fills)} fills{left_out}"
    return _section(name, candle_chart(times, boxes, marks, lambda value: f"{value:,.6g}", offset))


def _title(fill: Fill, offset: int) -> str:
    return f"{_moment(fill.time, offset)} {fill.side} {fill.quantity} at {fill.price}"


def _trades(result: Result, offset: int) -> str:
    trades = result.book.trades
    if not trades:
        return _section("Trades", '<p class="none">none was closed</p>')
    rows = "".join(_row(trade, offset) for trade in trades[-_SHOWN:])
    head = "".join(
        f"<th>{name}</th>"
        for name in ("Instrument", "Side", "Quantity", "Opened", "Closed", "Entry", "Exit", "Fees", "Profit", "")
    )
    more = f", the last {_SHOWN:,} of {len(trades):,}" if len(trades) > _SHOWN else f", {len(trades):,}"
    return _section(f"Trades{more}", f"<table><tr>{head}</tr>{rows}</table>")


def _row(trade: Trade, offset: int) -> str:
    cells = (
        trade.instrument, trade.side, text(trade.quantity), _moment(trade.opened, offset),
        _moment(trade.closed, offset), text(trade.entry_price), text(trade.exit_price), money(trade.fees),
    )  # fmt: skip
    plain = "".join(f"<td>{escape(cell)}</td>" for cell in cells)
    style = "good" if trade.profit > 0 else "bad"
    return (
        f'<tr>{plain}<td class="{style}">{money(trade.profit)}</td><td class="left">{escape(trade.currency)}</td></tr>'
    )


def _orders(result: Result) -> str:
    steps = ", ".join(f"{count:,} {step}" for step, count in result.orders.most_common())
    reasons = _list(
        f"{count:,} × {result.firsts.get(reason, reason)}{' (the first)' if count > 1 else ''}"
        for reason, count in result.reasons.most_common(20)
    )
    return _section(
        "Signals and orders",
        f"<p>{result.signals:,} signals; of orders: {escape(steps or 'none')}</p>"
        + (f'<p class="sub">What came to nothing:</p>{reasons}' if result.reasons else ""),
    )


def _warnings(result: Result, notes: Sequence[str]) -> str:
    parts = []
    for failure in result.failures:
        parts.append(
            f'<p class="bad">The strategy was stopped: {escape(failure.reason)}</p>'
            f"<pre>{escape(failure.traceback)}</pre>"
        )
    if notes:
        parts.append(_list(notes))
    return _section("Notes", "".join(parts)) if parts else ""


def _settings(result: Result) -> str:
    engine = result.setup.engine
    venue = engine.venue
    lines = [
        f"Orders: {engine.order_type}, {engine.time_in_force}; size by {engine.sizing.by}",
        f"Venue: latency {venue.latency / 1000:g} ms, slippage {venue.slippage_ticks} ticks and "
        f"{venue.slippage_rate / ONE:.4%}, participation {venue.participation / ONE:.0%}",
        "A session that was: signals travelled as they did"
        if result.recorded
        else f"Signals travel {result.setup.delay / 1000:g} ms",
    ]
    return _section("Settings", _list(lines))


def _section(title: str, body: str) -> str:
    return f"<section><h2>{escape(title)}</h2>{body}</section>"


def _list(lines: Iterable[str]) -> str:
    return "<ul>" + "".join(f"<li>{escape(line)}</li>" for line in lines) + "</ul>"


def _moment(time: int, offset: int) -> str:
    return datetime.fromtimestamp((time + offset) // SECOND, UTC).strftime("%Y-%m-%d %H:%M:%S")


def _zone(offset: int) -> str:
    hours = offset // (3600 * SECOND)
    return f"UTC{hours:+d}" if hours else "UTC"


def _sign(value: float | None) -> int:
    return 0 if not value else 1 if value > 0 else -1


def _short(value: float) -> str:
    for size, letter in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(value) >= size:
            return f"{value / size:,.6g}{letter}"
    return f"{value:,.6g}"


def _percent0(value: float) -> str:
    return f"{value * 100:.3g} %"
