"""What can be traded and on which terms: ticks, lots, fees, sessions, price limits, settlement, leverage.

Amounts are whole units of 10^-8 (`model/money.py`); rates too, so that 0.1 % is 100,000. Sources: Binance, "Trading
Rules" and fee schedule (spot 0.1 %, USD-M 0.02 % and 0.05 %); trading rules of the Shanghai and Shenzhen exchanges
(lots of 100, price limits of 10 and 20 %, T+1); Ministry of Finance and STA notice 2023-39 (stamp duty of 0.05 % on
sales); HKEX, "Securities (Hong Kong) fees" (stamp duty of 0.1 % on both sides, in whole dollars).
"""

from __future__ import annotations

from typing import Literal

import msgspec

from barnabas_quant.errors import SymbolError
from barnabas_quant.model.intervals import DAY
from barnabas_quant.model.markets import Venue, listing_of
from barnabas_quant.model.money import ONE
from barnabas_quant.model.sessions import AROUND_THE_CLOCK, HONG_KONG, SHANGHAI, Calendar, SessionCalendar

CENT = ONE // 100


def share(amount: int, rate: int, step: int = 1) -> int:
    """Give a rate (10^-8) of an amount, rounded half up to whole steps of units."""
    divisor = ONE * step
    return (2 * amount * rate + divisor) // (2 * divisor) * step


def notional(price: int, quantity: int) -> int:
    """Give price times quantity in units, rounded half up."""
    return (2 * price * quantity + ONE) // (2 * ONE)


class Fees(msgspec.Struct, frozen=True, kw_only=True):
    """Say what an order costs. The commission's minimum is that of a whole order, however many fills it has."""

    maker: int = 0
    """Commission, as a rate, where the order rested in the book."""
    taker: int = 0
    minimum: int = 0
    """Least commission of an order, in units of the currency."""
    stamp_buy: int = 0
    stamp_sell: int = 0
    """Duty, as a rate."""
    stamp_step: int = 1
    """Units that the duty is rounded up to where it is 10^8 and above, half up below."""
    transfer: int = 0
    """Transfer fee and levies, as a rate, on both sides."""
    step: int = 1
    """Units that everything else is rounded to: a cent for shares."""

    def commission(self, maker_notional: int, taker_notional: int) -> int:
        """Give the commission of an order so far: grows with its fills, never below the minimum once it has one."""
        due = share(maker_notional, self.maker, self.step) + share(taker_notional, self.taker, self.step)
        return max(due, self.minimum)

    def taxes(self, buys: bool, traded: int) -> int:
        """Give duty, transfer fee and levies of a whole order that has traded so much."""
        rate = self.stamp_buy if buys else self.stamp_sell
        if self.stamp_step >= ONE:
            raw = traded * rate
            stamp = -(-raw // (ONE * self.stamp_step)) * self.stamp_step
        else:
            stamp = share(traded, rate, self.step)
        return stamp + share(traded, self.transfer, self.step)


class Instrument(msgspec.Struct, frozen=True, kw_only=True):
    """Describe an instrument. `key` is how records call it: `exchange:symbol`."""

    exchange: str
    symbol: str
    asset: str
    """What is held of it: BTC, 600519."""
    currency: str
    """What it is paid in: USDT, CNY, HKD."""
    tick: int
    """Smallest step of a price."""
    lot: int
    """Smallest step of a quantity; on share exchanges that of purchases: what is left below a lot can be sold."""
    odd_lots_sold: bool = False
    least: int = 0
    """Smallest notional of an order."""
    most: int = 0
    """Largest quantity of an order; 0: no limit."""
    price_limit: int = 0
    """How far a day's prices may be from the last close, as a rate; 0: no limit."""
    settles_next_day: bool = False
    """T+1: what was bought today cannot be sold today."""
    hours: Literal["always", "shanghai", "hongkong"] = "always"
    leverage: int = 0
    """0: bought and sold against cash, never short. From 1 on: a futures contract, its margin notional / leverage."""
    maintenance: int = 0
    """Margin that must be left of a futures position, as a rate of its notional."""
    fees: Fees = Fees()

    @property
    def key(self) -> str:
        return f"{self.exchange}:{self.symbol}"

    @property
    def calendar(self) -> Calendar:
        return _CALENDARS[self.hours]

    def day(self, time: int) -> int:
        """Give the number of the trading day of a time: days since 1970 of the exchange's zone."""
        offset = calendar.offset if isinstance(calendar := self.calendar, SessionCalendar) else 0
        return (time + offset) // DAY

    def limits(self, close: int) -> tuple[int, int]:
        """Give the lowest and the highest price of a day after a close, on whole ticks, as the exchanges round them."""
        low, high = share(close, ONE - self.price_limit, self.tick), share(close, ONE + self.price_limit, self.tick)
        return max(self.tick, low), high


def rate(text: str) -> int:
    """Read a rate in percent, `0.05`, as units."""
    whole, _, fraction = text.partition(".")
    return int(whole + fraction.ljust(6, "0")[:6])


_SHARES: dict[Venue, Fees] = {
    venue: Fees(
        maker=rate("0.025"), taker=rate("0.025"), minimum=5 * ONE, stamp_sell=rate("0.05"), transfer=rate("0.001"),
        step=CENT,
    )
    for venue in ("sse", "szse")
}  # fmt: skip
_SHARES["hkex"] = Fees(
    maker=rate("0.03"), taker=rate("0.03"), minimum=3 * ONE, stamp_buy=rate("0.1"), stamp_sell=rate("0.1"),
    stamp_step=ONE, transfer=rate("0.0085"), step=CENT,
)  # fmt: skip


def listed_share(symbol: str, lot: int | None = None) -> Instrument:
    """Describe a share, a fund or a bond of Shanghai, Shenzhen or Hong Kong by its symbol. Raises SymbolError."""
    listing = listing_of(symbol)
    mainland = listing.venue != "hkex"
    fund = listing.code.startswith(("5", "15", "16", "18"))
    wide = listing.code.startswith(("30", "68"))  # ChiNext and the STAR market
    fees = _SHARES[listing.venue]
    if fund:
        fees = msgspec.structs.replace(fees, stamp_buy=0, stamp_sell=0, transfer=0)
    return Instrument(
        exchange=listing.venue, symbol=listing.symbol, asset=listing.symbol, currency="CNY" if mainland else "HKD",
        tick=ONE // 1000 if fund or not mainland else CENT, lot=(lot or listing.lot or 100) * ONE, odd_lots_sold=True,
        price_limit=rate("20" if wide else "10") if mainland else 0, settles_next_day=mainland,
        hours="shanghai" if mainland else "hongkong", fees=fees,
    )  # fmt: skip


_QUOTES = ("USDT", "USDC", "FDUSD", "BUSD", "TUSD", "BTC", "ETH", "BNB", "EUR", "TRY", "USD")


def crypto(exchange: str, symbol: str) -> Instrument:
    """Describe a pair, or a perpetual contract where the venue trades those, by the usual terms.

    The venue's own filters (exchangeInfo) are finer; give them in the settings where they matter. Raises SymbolError
    for a symbol that ends in no known currency.
    """
    plain = symbol.replace("-", "").upper()
    currency = next((quote for quote in _QUOTES if plain.endswith(quote) and plain != quote), None)
    if currency is None:
        raise SymbolError(f"{symbol}: it ends in none of {', '.join(_QUOTES)}; describe it in the settings")
    futures = exchange == "binance_usdm"
    return Instrument(
        exchange=exchange, symbol=symbol, asset=plain.removesuffix(currency), currency=currency,
        tick=ONE // 100, lot=ONE // 1000 if futures else ONE // 100_000, least=5 * ONE,
        leverage=20 if futures else 0, maintenance=rate("0.4") if futures else 0,
        fees=Fees(maker=rate("0.02"), taker=rate("0.05")) if futures else Fees(maker=rate("0.1"), taker=rate("0.1")),
    )  # fmt: skip


def usual(exchange: str, symbol: str) -> Instrument:
    """Describe an instrument by the usual terms of its venue. Raises SymbolError."""
    if exchange in ("sse", "szse", "hkex"):
        return listed_share(symbol)
    return crypto(exchange, symbol)


_CALENDARS: dict[str, Calendar] = {"always": AROUND_THE_CLOCK, "shanghai": SHANGHAI, "hongkong": HONG_KONG}
