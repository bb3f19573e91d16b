"""The gateway as a service: the web server, the hub and the reader of the topics."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import AsyncIterator

import uvicorn

from barnabas_quant.bus.topics import ensure_topics, topic_specs
from barnabas_quant.cache import Cache
from barnabas_quant.errors import SettingsError
from barnabas_quant.gateway.accounts import Accounts
from barnabas_quant.gateway.app import Part, application
from barnabas_quant.gateway.backtest_routes import BacktestRoutes
from barnabas_quant.gateway.backtest_runs import BacktestRuns
from barnabas_quant.gateway.backtests import BACKTEST_OPERATIONS
from barnabas_quant.gateway.commands import Commands
from barnabas_quant.gateway.hub import Hub
from barnabas_quant.gateway.identity import Doorkeeper
from barnabas_quant.gateway.market import Market
from barnabas_quant.gateway.operator_token import keep_token, token_file
from barnabas_quant.gateway.pipeline import PIPELINE_OPERATIONS, PipelineRoutes
from barnabas_quant.gateway.portfolios import Portfolios, decoded
from barnabas_quant.gateway.reader import TOPICS, Event, Reader
from barnabas_quant.gateway.risk import RISK_OPERATIONS
from barnabas_quant.gateway.risk_routes import RiskRoutes
from barnabas_quant.gateway.sessions import Sessions
from barnabas_quant.gateway.sockets import Sockets
from barnabas_quant.gateway.sparklines import SPARKLINE_OPERATIONS, SparklineRoutes
from barnabas_quant.gateway.strategies import STRATEGY_OPERATIONS
from barnabas_quant.gateway.strategy_follower import Earlier, StrategyFollower, Told
from barnabas_quant.gateway.strategy_routes import StrategyRoutes
from barnabas_quant.gateway.trading import TRADING_OPERATIONS
from barnabas_quant.gateway.trading_routes import TradingRoutes
from barnabas_quant.gateway.user_log import UserLog
from barnabas_quant.gateway.user_routes import UserRoutes
from barnabas_quant.gateway.users import USER_OPERATIONS
from barnabas_quant.history import AsyncClickHouse
from barnabas_quant.model.account import Account
from barnabas_quant.model.user_event import UserEvent
from barnabas_quant.processes import check_port, split_address
from barnabas_quant.service import Service
from barnabas_quant.strategies.switching import COMMANDS as STRATEGY_COMMANDS
from barnabas_quant.strategies.switching import StrategyEvent
from barnabas_quant.trading.events import Decision, OrderEvent
from barnabas_quant.trading.inputs import COMMANDS

_BATCHES = 4
"""Batches that may wait for the loop."""


class GatewayService(Service):
    """Answer REST and WebSocket clients."""

    name = "gateway"
    summary = "REST and WebSocket: prices, candles, books, trades, signals, users"
    needs = ("redis", "clickhouse")

    def run(self) -> None:
        """Serve until told to stop. Raises ChildError for a port that is taken."""
        settings = self.settings
        if settings.redis is None or settings.clickhouse is None:
            raise SettingsError("the gateway asks Redis and ClickHouse: give --redis URL and --clickhouse URL")
        check_port(settings.gateway_listen, "the setting gateway_listen")
        more = (COMMANDS, STRATEGY_COMMANDS, StrategyEvent.topic, Account.topic, UserEvent.topic)
        ensure_topics(settings.bootstrap, topic_specs((*TOPICS, *more)))
        asyncio.run(self._serve())

    async def _serve(self) -> None:
        settings = self.settings
        assert settings.redis is not None
        assert settings.clickhouse is not None
        hub = Hub()
        history = AsyncClickHouse(settings.clickhouse)
        market = Market(settings, Cache(settings.redis, patience=0.5), history, self.status, self.context.stop.is_set)
        accounts = Accounts(settings.bootstrap, self.status, self.context.stop)
        sessions = Sessions(settings.redis)
        events = UserLog(settings.bootstrap)
        doorkeeper = Doorkeeper(settings, accounts.known, sessions, self._operator_token())
        users = UserRoutes(accounts, sessions, doorkeeper, events, settings.gateway.registration)
        portfolios = Portfolios(settings.bootstrap, history, lambda topic: reader.whole(topic))
        commands = Commands[Decision](settings.bootstrap, COMMANDS)
        trading = TradingRoutes(portfolios, commands, settings.primary)
        users.on_account.append(trading.open)
        strategy_commands = Commands[StrategyEvent](settings.bootstrap, STRATEGY_COMMANDS)
        strategies = StrategyRoutes(settings.strategies, strategy_commands)
        risk = RiskRoutes(settings.trading, portfolios, market)
        runs = BacktestRuns(settings)
        backtests = BacktestRoutes(settings, runs, strategies.book.alias_of)
        sockets = Sockets(hub, settings.gateway)
        pipeline = PipelineRoutes(settings, market, history, lambda: sockets.count)
        sparklines = SparklineRoutes(market, history)
        parts = [
            Part(USER_OPERATIONS, users.routes()), Part(TRADING_OPERATIONS, trading.routes()),
            Part(STRATEGY_OPERATIONS, strategies.routes()), Part(RISK_OPERATIONS, risk.routes()),
            Part(BACKTEST_OPERATIONS, backtests.routes()), Part(PIPELINE_OPERATIONS, pipeline.routes()),
            Part(SPARKLINE_OPERATIONS, sparklines.routes()),
        ]  # fmt: skip
        app = application(market, sockets, doorkeeper, parts)
        loop = asyncio.get_running_loop()

        room = threading.Semaphore(_BATCHES)

        def publish(events: list[Event]) -> None:
            room.release()
            for event in events:
                if not event.before:
                    hub.publish(event.stream, event.place, event.text(), event.series)
                    market.hear(event)
                if event.topic and (told := decoded(event.topic, event.record)) is not None:
                    portfolios.hear(told)
                    if event.before:
                        continue
                    if isinstance(told, Decision):
                        commands.hear(told)
                    elif isinstance(told, OrderEvent):
                        risk.hear(told)

        def deliver(events: list[Event]) -> None:
            while not room.acquire(timeout=0.1):  # the loop is behind: the reader waits, and Kafka keeps the records
                if self.context.stop.is_set():
                    return
            with contextlib.suppress(RuntimeError):  # the loop has ended
                loop.call_soon_threadsafe(publish, events)

        room_for_strategies = threading.Semaphore(_BATCHES)

        def hear(told: list[Told], earlier: Earlier | None, ready: bool) -> None:
            room_for_strategies.release()
            strategies.hear(told, earlier, ready)

        def deliver_strategies(told: list[Told], earlier: Earlier | None, ready: bool) -> None:
            while not room_for_strategies.acquire(timeout=0.1):
                if self.context.stop.is_set():
                    return
            with contextlib.suppress(RuntimeError):  # the loop has ended
                loop.call_soon_threadsafe(hear, told, earlier, ready)

        host, port = split_address(settings.gateway_listen)
        server = uvicorn.Server(
            uvicorn.Config(
                app, host=host, port=port, log_level="warning", ws="websockets-sansio", lifespan="off",
                ws_max_size=64 * 1024, ws_ping_interval=20, ws_ping_timeout=20, timeout_graceful_shutdown=3,
            )
        )  # fmt: skip
        reader = Reader(settings, self.status, self.context.stop, deliver)
        follower = StrategyFollower(settings, self.context.stop, deliver_strategies)
        async with _until_stopped(self, server, accounts, events, runs):
            reader.start()
            follower.start()
            accounts.start()
            # Its public `serve` takes the signals over, which are the runner's.
            await server._serve()
        reader.join()
        follower.join()
        runs.close()
        pipeline.close()
        await asyncio.to_thread(accounts.join)
        users.close()
        commands.close()
        strategy_commands.close()
        await asyncio.to_thread(events.close)
        await sessions.close()
        await history.close()

    def _operator_token(self) -> str | None:
        """Give the operator's token, which stands where the settings say. Raises SettingsError."""
        path = token_file(self.settings)
        return None if path is None else keep_token(path)


@contextlib.asynccontextmanager
async def _until_stopped(
    service: GatewayService, server: uvicorn.Server, accounts: Accounts, events: UserLog, runs: BacktestRuns
) -> AsyncIterator[None]:
    """End the server when the service is told to stop; say ready once it listens and knows its users."""

    async def watch() -> None:
        while not service.context.stop.is_set():
            await asyncio.sleep(0.05)
            service.status.ready = server.started and accounts.ready
        server.should_exit = True

    tasks = [asyncio.create_task(each) for each in (watch(), events.serve(), runs.serve())]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task
