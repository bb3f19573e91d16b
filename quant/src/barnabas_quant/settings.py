"""What the platform is told: where its stores are, which venues it listens to, which services run.

A value comes from the command line, else from the environment (`BARNABAS_QUANT_KAFKA`, ..., for the plain ones), else
from a TOML file (`--config FILE`, or `barnabas-quant.toml` in the working folder), else it is the default below.
Nothing given for `kafka`, `redis` or `clickhouse` means: the embedded one. Unknown keys and values out of range are
errors that name the key.
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta, Struct, field

from barnabas_quant.endpoints import Endpoints
from barnabas_quant.errors import SettingsError
from barnabas_quant.processes import split_address

DEFAULT_FILE = Path("barnabas-quant.toml")
ENVIRONMENT = "BARNABAS_QUANT_"

Address = Annotated[str, Meta(min_length=3)]
Positive = Annotated[float, Meta(gt=0)]
Count = Annotated[int, Meta(ge=1)]


class Venue(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Say how to reach a venue and what to take from it."""

    stream: str | None = None
    """Base address of its WebSocket, `wss://...`; None: the simulated exchange."""
    rest: str | None = None
    """Base address of its REST interface, `https://...`; None: the simulated exchange."""
    symbols: tuple[str, ...] = ()
    """Symbols in the venue's own spelling."""
    intervals: tuple[str, ...] = ("1m", "5m", "15m", "1h", "1d")
    """Kline intervals to subscribe to."""
    history: Annotated[int, Meta(ge=0, le=10_000)] = 500
    """Candles of each interval that are fetched from before the first one that comes; 0: none."""
    streams: tuple[Literal["trade", "quote", "depth", "kline"], ...] = ("trade", "quote", "depth", "kline")
    """What is taken of each symbol."""


class Replay(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Say which recording is played into the topics, and how fast."""

    files: tuple[Path, ...] = ()
    """Files to play; for A-shares none means the sample in the package."""
    exchange: str | None = None
    """Venue of a capture; None: recognised by its frames."""
    speed: Positive | None = 1.0
    """Times as fast as recorded; None (`"max"` in the file) as fast as it goes."""
    skip_closed: bool = True
    """Shares: nights, lunch and days without records take no time."""


class Quotes(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Say which level-1 quotes are polled."""

    url: str | None = None
    """Base address, `https://hq.sinajs.cn`; None: the simulated exchange."""
    symbols: tuple[str, ...] = ("sh600519", "sz000001", "sh600000", "hk00700")
    seconds: Positive = 3.0
    """Seconds between two polls."""
    layout: Literal["sina", "tencent"] = "sina"
    """Whose strings the address gives."""
    batch: Count = 200
    """Symbols of one request at most."""
    in_sessions: bool = False
    """Ask only while one of the markets trades, by the clock; holidays are not known."""


class History(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Say how rows are gathered before they are inserted."""

    rows: Count = 100_000
    """Records of one batch at most."""
    seconds: Positive = 1.0
    """Seconds that a row waits for others at most."""
    cluster: str | None = None
    """Name of a ClickHouse cluster on which the tables are made, replicated; None: one server."""


class Gateway(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Bound what the gateway gives one client, and say whom it lets in."""

    client_bytes: Count = 4 * 2**20
    """Bytes that wait for one slow client at most; beyond that its oldest messages go, or the client does."""
    clients: Count = 1000
    """WebSocket clients at once."""
    streams: Count = 1024
    """Streams that one client may subscribe to."""
    open: bool | None = None
    """Whether a request from this machine that names nobody acts as the owner of `main`; None: exactly where
    gateway_listen is a loopback address. Say false where a proxy on this machine passes on what comes from outside."""
    registration: bool = True
    """Whether anybody may register; false: only owners make users."""
    backtest_mib: Count | None = None
    """Memory that a backtest may use, MiB; None: half of what the machine has."""
    operator_token_file: Path | None = None
    """File of the operator's token, made where it is missing; None: DATA/run/gateway.token where there is a DATA."""


Amount = Annotated[str, Meta(pattern=r"^[0-9]{1,18}(\.[0-9]{1,8})?\Z")]
"""Decimal text: money, a quantity, or (0.05 is 5 %) a rate."""


class Limits(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Say what an order may be before the venue hears of it; what is left out is not limited."""

    symbols: tuple[str, ...] | None = None
    """Keys of the instruments that may be traded, `exchange:symbol`."""
    order_quantity: Amount | None = None
    order_notional: Amount | None = None
    position: Amount | None = None
    position_notional: Amount | None = None
    gross_notional: Amount | None = None
    leverage: Amount | None = None
    """Gross notional over equity."""
    orders_per_second: Count | None = 100
    price_collar: Amount | None = "0.1"
    """How far a limit price may be beyond the market's, as a rate."""
    daily_loss: Amount | None = "0.05"
    """Share of a day's first equity that may be lost before only closing is allowed."""


class Rule(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Say from which values on a rule of the watch warns and acts: decimal text, rates or seconds; None: never."""

    warning: Amount | None = None
    critical: Amount | None = None
    action: Literal["none", "reduce", "flatten", "kill"] | None = None
    """What it does at its critical level: nothing, halve the position, close it, pull the kill switch.

    None: what is usual for it: stop_loss and trailing_stop flatten, drawdown kill, the others nothing.
    """


class Watch(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Say what is watched on the stream (docs/trading.md, "Risk"); a rule without a level is off."""

    stop_loss: Rule = Rule()
    """What a position has lost of what was paid for it, as a rate."""
    trailing_stop: Rule = Rule()
    """How far the price is from the best one since there is the position, as a rate."""
    drawdown: Rule = Rule(warning="0.1", critical="0.2", action="none")
    """What the equity of a currency is below its highest, as a rate."""
    exposure: Rule = Rule()
    """Notional of all positions over the equity, by currency, as a rate."""
    concentration: Rule = Rule()
    """Notional of one position over the equity of its currency, as a rate."""
    volatility: Rule = Rule()
    """Volatility of the last `short` samples over that of the `long` ones before, as a rate."""
    crossed: Rule = Rule(warning="0")
    """Seconds for which bid has been above ask."""
    stale: Rule = Rule(warning="60")
    """Seconds of trading time for which an instrument that we trade has told nothing."""
    silent: Rule = Rule(warning="30")
    """Seconds of trading time for which a venue has told nothing."""
    hysteresis: Amount = "0.1"
    """How far below its lowest level a value has to be for a rule to clear, as a rate of that level."""
    seconds: Positive = 1.0
    """Of the market's time, between two samples and two looks at the data."""
    short: Count = 60
    long: Count = 600
    kill_flattens: bool = False
    """Whether a rule that pulls the kill switch closes every position as well."""


class Trading(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Say how the paper account trades."""

    cash: dict[str, Amount] = field(default_factory=lambda: {"USDT": "1000000", "CNY": "10000000", "HKD": "1000000"})
    """What the account begins with, by currency."""
    order_type: Literal["limit", "market"] = "limit"
    """What a signal becomes: an order at its price or better, or at the market."""
    time_in_force: Literal["GTC", "DAY", "IOC"] = "DAY"
    size: Literal["volume", "notional", "equity"] = "volume"
    """How large: as the signal says, for `notional` of money, for a `share` of the equity."""
    notional: Amount = "10000"
    share: Amount = "0.1"
    signal_seconds: Positive = 300.0
    """Age, by the market's clock, from which a signal is stale."""
    latency_ms: Annotated[int, Meta(ge=0)] = 0
    slippage_ticks: Annotated[int, Meta(ge=0)] = 0
    slippage_rate: Amount = "0"
    participation: Amount = "1"
    """Share of a trade's or a bar's volume that orders may take; 0: any."""
    equity_seconds: Positive = 60.0
    limits: Limits = Limits()
    watch: Watch = Watch()


class Mail(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Say how alerts are sent by e-mail."""

    server: Address
    """HOST:PORT of an SMTP server."""
    sender: str
    to: tuple[str, ...]
    tls: Literal["starttls", "tls", "off"] = "starttls"
    """Encrypted after a greeting in the clear (usual on 587), from the first byte (465), not at all."""
    certificates: Path | None = None
    """File of the authorities to trust; None: the system's."""
    user: str | None = None
    password: str | None = None

    def __post_init__(self) -> None:
        if not self.to:
            raise ValueError("to: at least one address")
        if (self.user is None) != (self.password is None):
            raise ValueError("user and password belong together")
        if self.user is not None and self.tls == "off":
            raise ValueError("tls: a password is not sent in the clear")


class Alerts(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Say where the records of risk-alerts are delivered, beside the log."""

    webhooks: tuple[Address, ...] = ()
    """Addresses that get each alert as JSON by POST."""
    mail: Mail | None = None
    level: Literal["warning", "critical"] = "warning"
    """Alerts of a lower level are only logged."""
    tries: Count = 8
    """How often a delivery is tried, after 1, 2, 4, ... seconds, a minute at most."""
    seconds: Positive = 10.0
    """How long one try may take."""
    waiting: Count = 1000
    """Alerts that wait for one place at most; beyond that the oldest are dropped, and said so in the log."""


class StrategySettings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Name a strategy to run: one of the package by its name, or a file of one's own."""

    name: str
    """MA_CROSS, MACD, ..., or the path of a Python file that holds one."""
    alias: Annotated[str, Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,59}\Z")] | None = None
    """What its signals are called by, and what it remembers is kept under; None: its own name."""
    symbols: tuple[str, ...]
    """Keys, `exchange:symbol`, or symbols alone: shares, or of the primary venue."""
    parameters: dict[str, int | float | str | bool] = field(default_factory=dict)


def _simulated() -> dict[str, Venue]:
    return {
        "binance": Venue(symbols=("BTCUSDT", "ETHUSDT", "BNBUSDT", "SOLUSDT", "XRPUSDT")),
        "binance_usdm": Venue(symbols=("BTCUSDT", "ETHUSDT")),
        "okx": Venue(symbols=("BTC-USDT", "ETH-USDT")),
    }


class Settings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Hold everything that is configured."""

    data: Path = Path("data")
    """Folder of the embedded stores, of logs and of DATA/services."""

    kafka: Address | None = None
    """Bootstrap servers, HOST:PORT[,...]; None: an embedded Barnabas."""
    redis: Address | None = None
    """redis://[user:password@]HOST:PORT/DATABASE, rediss:// for TLS; None: an embedded Valkey."""
    clickhouse: Address | None = None
    """http://[user:password@]HOST:PORT/DATABASE; None: an embedded chDB."""
    kafka_client: dict[str, str] = field(default_factory=dict)
    """Further settings of every Kafka client, under librdkafka's names: security.protocol, sasl.mechanism, ..."""

    listen: tuple[Address, ...] = ("localhost:9092", "localhost:9093")
    """Where the embedded broker listens."""
    redis_listen: Address = "localhost:6379"
    """Where the embedded Valkey listens."""
    clickhouse_listen: Address = "localhost:8123"
    """Where the embedded ClickHouse listens."""
    exchange_listen: Address = "localhost:8100"
    """Where the simulated exchange listens, where any venue has no address of its own."""
    gateway_listen: Address = "localhost:8000"
    """Where the gateway listens."""
    metrics_listen: Address | None = "localhost:9405"
    """Where the metrics of all services can be fetched; None (`"off"` in the file): nowhere."""

    primary: str = "binance"
    """Venue that a symbol without one means."""
    venues: dict[str, Venue] = field(default_factory=_simulated)
    services: tuple[str, ...] | None = None
    """Names of the services to start; None: all that are there."""
    seed: int = 1
    """Which random market the simulated exchange plays."""

    replay: Replay = Replay()
    ashare: Replay = Replay(speed=20.0)
    quotes: Quotes = Quotes()
    history: History = History()
    gateway: Gateway = Gateway()
    trading: Trading = Trading()
    alerts: Alerts = Alerts()
    strategies: tuple[StrategySettings, ...] = (
        StrategySettings(
            name="MA_CROSS",
            symbols=("000001", "600519", "600000"),
            parameters={"volume": "100", "interval": "1m"},
        ),
        StrategySettings(name="MACD", symbols=("BTCUSDT", "ETHUSDT"), parameters={"volume": "0.1", "interval": "1m"}),
    )
    """What runs on the paper account; `[]`: nothing."""
    computed: tuple[str, ...] = ("1s", "1m", "5m", "15m", "1h", "1d")
    """Intervals of the candles that the analysis service computes."""

    def __post_init__(self) -> None:
        for name in ("redis_listen", "clickhouse_listen", "exchange_listen", "gateway_listen", "metrics_listen"):
            value = getattr(self, name)
            if value is not None:
                _check_address(name, value)
        for value in self.listen:
            _check_address("listen", value)

    @property
    def bootstrap(self) -> str:
        """Give Kafka's address, which whoever started the stores has filled in. Raises SettingsError."""
        if self.kafka is None:
            raise SettingsError("no Kafka: give --kafka HOST:PORT, or start the platform with `barnabas-quant up`")
        return self.kafka


_PLAIN = (
    "data", "kafka", "redis", "clickhouse", "redis_listen", "clickhouse_listen", "exchange_listen", "gateway_listen",
    "metrics_listen", "primary", "seed",
)  # fmt: skip


def load_settings(
    given: Mapping[str, Any], config: Path | None = None, environ: Mapping[str, str] = os.environ
) -> Settings:
    """Put settings together: `given` (the command line's; None where nothing was said), environment, file, defaults.

    Raises SettingsError with the key that is wrong and where it stands.
    """
    named = config or (Path(environ[ENVIRONMENT + "CONFIG"]) if ENVIRONMENT + "CONFIG" in environ else None)
    path = named or (DEFAULT_FILE if DEFAULT_FILE.exists() else None)
    values: dict[str, Any] = {} if path is None else _read(path)
    for name in _PLAIN:
        if (text := environ.get(ENVIRONMENT + name.upper())) is not None:
            values[name] = text
    values |= {name: value for name, value in given.items() if value is not None}
    for name in ("replay", "ashare"):
        if isinstance(values.get(name), dict) and values[name].get("speed") == "max":
            values[name] = values[name] | {"speed": None}
    if values.get("metrics_listen") == "off":
        values["metrics_listen"] = None
    try:
        return msgspec.convert(values, Settings, strict=False, dec_hook=_from_text)
    except (msgspec.ValidationError, ValueError) as error:
        raise SettingsError(f"settings{f' ({path})' if path else ''}: {error}") from error


def completed(settings: Settings, running: Endpoints | None) -> Settings:
    """Fill in the stores that nobody named with those of the platform that runs in the data folder."""
    if running is None:
        return settings
    return msgspec.structs.replace(
        settings,
        kafka=settings.kafka or running.kafka,
        redis=settings.redis or running.redis,
        clickhouse=settings.clickhouse or running.clickhouse,
    )


def write_settings(settings: Settings, path: Path) -> None:
    """Write settings so that `load_settings` reads the same from that file (JSON)."""
    fresh = path.with_suffix(".new")
    fresh.write_bytes(msgspec.json.format(msgspec.json.encode(settings, enc_hook=str)))
    fresh.replace(path)


def _read(path: Path) -> dict[str, Any]:
    try:
        text = path.read_bytes()
        values: dict[str, Any] = msgspec.json.decode(text) if path.suffix == ".json" else tomllib.loads(text.decode())
    except OSError as error:
        raise SettingsError(f"cannot read {path}: {error.strerror}") from error
    except (ValueError, msgspec.DecodeError) as error:
        raise SettingsError(f"{path}: {error}") from error
    return values


def _from_text(kind: type, value: object) -> object:
    if kind is Path and isinstance(value, str | Path):
        return Path(value)
    raise ValueError(f"not a {kind.__name__}: {value!r}")


def _check_address(name: str, value: str) -> None:
    try:
        split_address(value)
    except ValueError as error:
        raise ValueError(f"{error} - at `$.{name}`") from error
