"""Level-1 quotes over HTTP as hq.sinajs.cn answers them: `/list=sh600519,sz000001,rt_hk00700`, text in GBK.

A small random walk of its own, a function of the seed and of the second of the wall clock: prices change every second,
whatever the hour. Volume and turnover only grow within a day (Asia/Shanghai) and begin at zero with the next.
A code that does not exist is answered with an empty string, as there. The site wants a Referer of its own and answers
403 without; this does not.
Shape: recorded quote strings (Shanghai and Shenzhen); Hong Kong as `rt_hk` lines are known:
English name, name, open, previous close, high, low, last, change, per cent, bid, ask, turnover, volume, P/E, yield,
52-week high and low, date, time.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone
from random import Random

from barnabas_quant.exchange.wire import Request, Response

_SHANGHAI = timezone(timedelta(hours=8))
_DAY = 86_400
_LEVELS = 5
_LOT = 100


@dataclass(frozen=True, slots=True)
class Stock:
    """Describe a stock: price in its smallest step, which is a cent in Shanghai and Shenzhen and 1/1000 here."""

    code: str
    name: str
    english: str
    price: int
    """Previous close, thousandths."""
    step: int
    """Smallest step of the price, thousandths."""
    pace: int
    """Mean shares traded a second."""


STOCKS: tuple[Stock, ...] = (
    Stock("sh600519", "贵州茅台", "KWEICHOW MOUTAI", 1_486_000, 10, 200),
    Stock("sz000001", "平安银行", "PING AN BANK", 11_420, 10, 6_000),
    Stock("sh600000", "浦发银行", "SPD BANK", 9_870, 10, 4_000),
    Stock("rt_hk00700", "腾讯控股", "TENCENT", 402_400, 200, 900),
)


class Sina:
    """Answer quotes. `now`: seconds since 1970."""

    def __init__(self, seed: int, now: Callable[[], float], stocks: tuple[Stock, ...] = STOCKS) -> None:
        self._now = now
        self._walks = {stock.code: _Walk(stock, seed) for stock in stocks}
        hong_kong = self._walks.get("rt_hk00700")
        if hong_kong is not None:
            self._walks["hk00700"] = hong_kong

    def answer(self, request: Request) -> Response:
        """Answer a request for `/list=CODE,CODE`."""
        codes = request.path.removeprefix("/list=").split(",")
        second = int(self._now())
        lines = [self._line(code, second) for code in codes if code]
        return Response(200, "".join(lines).encode("gbk"), content_type="application/javascript; charset=GBK")

    def _line(self, code: str, second: int) -> str:
        walk = self._walks.get(code)
        safe = "".join(letter for letter in code if letter.isascii() and (letter.isalnum() or letter == "_"))
        return f'var hq_str_{safe}="{"" if walk is None else walk.text(second)}";\n'


class _Walk:
    """One stock's day, second by second, made again from its start where it is asked for another day."""

    def __init__(self, stock: Stock, seed: int) -> None:
        self._stock = stock
        self._seed = seed
        self._day = -1
        self._second = 0
        self._restart(0)

    def text(self, second: int) -> str:
        """Give the quote at a second, without the name of the variable."""
        local = second + 8 * 3600
        if local // _DAY != self._day or local % _DAY < self._second:
            self._restart(local // _DAY)
        while self._second < local % _DAY:
            self._step()
        time = datetime.fromtimestamp(second, UTC).astimezone(_SHANGHAI)
        return self._hong_kong(time) if "hk" in self._stock.code else self._mainland(time)

    def _restart(self, day: int) -> None:
        stock = self._stock
        self._random = Random(f"{self._seed} {stock.code} {day}")
        self._day, self._second = day, 0
        self._previous = stock.price + self._random.randint(-20, 20) * stock.step
        self._price = self._open = self._previous + self._random.randint(-5, 5) * stock.step
        self._high = self._low = self._price
        self._volume = 0
        self._value = 0  # thousandths

    def _step(self) -> None:
        stock, rng = self._stock, self._random
        self._second += 1
        drawn = self._previous - self._price
        move = rng.choice((-1, 0, 0, 1)) + (rng.random() < abs(drawn) / self._previous) * (1 if drawn > 0 else -1)
        bound = self._previous // 10 // stock.step * stock.step  # a tenth either way
        price = self._price + move * stock.step
        self._price = max(self._previous - bound, min(self._previous + bound, price))
        self._high, self._low = max(self._high, self._price), min(self._low, self._price)
        shares = int(rng.expovariate(1.0) * stock.pace) // _LOT * _LOT
        self._volume += shares
        self._value += shares * self._price

    def _levels(self, sign: int) -> list[tuple[int, int]]:
        rng = Random(f"{self._seed} {self._stock.code} {self._day} {self._second} {sign}")
        first = self._price + (sign if sign > 0 else 0) * self._stock.step
        return [(first + sign * level * self._stock.step, rng.randint(1, 400) * _LOT) for level in range(_LEVELS)]

    def _mainland(self, time: datetime) -> str:
        bids, asks = self._levels(-1), self._levels(1)
        parts = [self._stock.name]
        parts += [_text(p) for p in (self._open, self._previous, self._price, self._high, self._low)]
        parts += [_text(bids[0][0]), _text(asks[0][0]), str(self._volume), _text(self._value)]
        for price, size in (*bids, *asks):
            parts += [str(size), _text(price)]
        return ",".join([*parts, time.strftime("%Y-%m-%d"), time.strftime("%H:%M:%S"), "00"])

    def _hong_kong(self, time: datetime) -> str:
        bids, asks = self._levels(-1), self._levels(1)
        change = self._price - self._previous
        per_cent = f"{'-' if change < 0 else ''}{_text(abs(change) * 100_000 // self._previous)}"
        parts = [self._stock.english, self._stock.name]
        parts += [_text(p) for p in (self._open, self._previous, self._high, self._low, self._price)]
        parts += [f"{'-' if change < 0 else ''}{_text(abs(change))}", per_cent, _text(bids[0][0]), _text(asks[0][0])]
        parts += [_text(self._value), str(self._volume), "20.500", "0.900"]
        parts += [_text(self._stock.price * 13 // 10), _text(self._stock.price * 7 // 10)]
        return ",".join([*parts, time.strftime("%Y/%m/%d"), time.strftime("%H:%M")])


def _text(thousandths: int) -> str:
    return f"{thousandths // 1000}.{thousandths % 1000:03d}"
