"""The three markets of `stock-realtime`: which exchange an instrument is listed on, told by its code.

An exchange gives out codes in ranges; the longest range that fits decides. A code that both mainland exchanges use (the
index 000001 of Shanghai, the share 000001 of Shenzhen) means the share; the other one keeps its prefix: `sh000001`.
Sources: SSE, Guide to the allocation of securities codes; SZSE, ranges of securities codes; HKEX, Stock Code
Allocation Plan. Beijing's exchange (43, 8, 92) is none of the three.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Literal

from barnabas_quant.errors import SymbolError

Venue = Literal["sse", "szse", "hkex"]

VENUES: tuple[Venue, ...] = ("sse", "szse", "hkex")
"""Shanghai, Shenzhen, Hong Kong: a market's place in here is the number of its partition."""

_RANGES: dict[str, Venue] = {
    "60": "sse",  # shares
    "68": "sse",  # shares of the STAR market
    "90": "sse",  # B shares
    "5": "sse",  # funds
    "110": "sse",  # convertible bonds, as are the next three
    "111": "sse",
    "113": "sse",
    "118": "sse",
    "204": "sse",  # repurchase agreements
    "00": "szse",  # shares
    "30": "szse",  # shares of ChiNext
    "20": "szse",  # B shares
    "15": "szse",  # funds traded on exchange
    "16": "szse",  # listed open funds
    "18": "szse",  # closed funds
    "123": "szse",  # convertible bonds, as are the next two
    "127": "szse",
    "128": "szse",
    "131": "szse",  # repurchase agreements
    "39": "szse",  # indices
}
_BEIJING = re.compile(r"(43|8[0-9]|92)[0-9]{4}", re.ASCII)

_PREFIX: dict[Venue, str] = {"sse": "sh", "szse": "sz", "hkex": "hk"}
_NAMED: dict[str, Venue] = {"SH": "sse", "SS": "sse", "SZ": "szse", "HK": "hkex"}
_WRITTEN = re.compile(r"(?:(SH|SZ|HK)\.?)?([0-9]{1,6})(?:\.(SH|SS|SZ|HK))?", re.ASCII | re.IGNORECASE)

NAMES: dict[str, str] = {
    "600000": "浦发银行",
    "600036": "招商银行",
    "600519": "贵州茅台",
    "600900": "长江电力",
    "601318": "中国平安",
    "601398": "工商银行",
    "688981": "中芯国际",
    "510300": "沪深300ETF",
    "000001": "平安银行",
    "000002": "万科A",
    "000333": "美的集团",
    "000651": "格力电器",
    "000858": "五粮液",
    "002594": "比亚迪",
    "300059": "东方财富",
    "300750": "宁德时代",
    "159915": "创业板ETF",
    "162411": "华宝油气",
    "sh000001": "上证指数",
    "399001": "深证成指",
    "00005": "汇丰控股",
    "00388": "香港交易所",
    "00700": "腾讯控股",
    "00941": "中国移动",
    "01299": "友邦保险",
    "03690": "美团-W",
    "09988": "阿里巴巴-W",
}
"""Names of well-known instruments by symbol; whatever tells a name itself goes before these."""


@dataclass(frozen=True, slots=True)
class Listing:
    """Name an instrument: the venue that it is listed on, and its code there (six digits, five in Hong Kong)."""

    venue: Venue
    code: str
    symbol: str = field(init=False, compare=False)
    """What records call it: its code, with a prefix where the code alone would mean another one."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "symbol", self.code if venue_of_code(self.code) == self.venue else self.prefixed)

    @property
    def prefixed(self) -> str:
        """Give its name with the market before it: sh600000, sz000001, hk00700."""
        return _PREFIX[self.venue] + self.code

    @property
    def name(self) -> str | None:
        """Give its name where it is a well-known one."""
        return NAMES.get(self.symbol)

    @property
    def lot(self) -> int | None:
        """Give the shares of a lot: 100 on the mainland; None in Hong Kong, where each issuer chooses."""
        return None if self.venue == "hkex" else 100

    def partition(self, partitions: int) -> int:
        """Give its partition in a topic of so many: its market's number, modulo `partitions`."""
        return VENUES.index(self.venue) % partitions


def venue_of_code(code: str) -> Venue | None:
    """Give the venue whose range a bare code is in; None for a code in no range."""
    if len(code) == 5:
        return "hkex"
    if len(code) != 6:
        return None
    return next((venue for size in (3, 2, 1) if (venue := _RANGES.get(code[:size]))), None)


@lru_cache(maxsize=16384)
def listing_of(text: str) -> Listing:
    """Read a symbol as people and vendors write it: 600000, sh600000, SH600000, 600000.SH, 00700, hk00700, 700.HK.

    Raises SymbolError.
    """
    match = _WRITTEN.fullmatch(text) if len(text) <= 12 else None
    if match is None:
        raise SymbolError(f"not a symbol of Shanghai, Shenzhen or Hong Kong: {text[:40]!r}")
    before, code, after = match.groups()
    if before and after:
        raise SymbolError(f"a market before and after the code: {text!r}")
    if market := before or after:
        venue: Venue | None = _NAMED[market.upper()]
        if venue == "hkex":
            code = code.zfill(5)
        if len(code) != (5 if venue == "hkex" else 6):
            raise SymbolError(f"not a code of that market: {text!r}")
    else:
        venue = venue_of_code(code)
    if venue is None:
        beijing = " (Beijing's exchange is none of the three markets)" if _BEIJING.fullmatch(code) else ""
        raise SymbolError(f"a code in no range of Shanghai, Shenzhen or Hong Kong{beijing}: {text!r}")
    return Listing(venue, code)
