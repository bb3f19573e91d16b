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
from barnabas_quant.gateway.app import application
from barnabas_quant.gateway.hub import Hub
from barnabas_quant.gateway.market import Market
from barnabas_quant.gateway.reader import TOPICS, Event, Reader
from barnabas_quant.gateway.sockets import Sockets
from barnabas_quant.history import AsyncClickHouse
from barnabas_quant.processes import check_port, split_address
from barnabas_quant.service import Service

_BATCHES = 4
"""Batches that may wait for the loop."""


class GatewayService(Service):
    """Answer REST and WebSocket clients."""

    name = "gateway"
    summary = "REST and WebSocket: prices, candles, books, trades, signals"
    needs = ("redis", "clickhouse")

    def run(self) -> None:
        """Serve until told to stop. Raises ChildError for a port that is taken."""
        settings = self.settings
        if settings.redis is None or settings.clickhouse is None:
            raise SettingsError("the gateway asks Redis and ClickHouse: give --redis URL and --clickhouse URL")
        check_port(settings.gateway_listen, "the setting gateway_listen")
        ensure_topics(settings.bootstrap, topic_specs(TOPICS))
        asyncio.run(self._serve())

    async def _serve(self) -> None:
        settings = self.settings
        assert settings.redis is not None
        assert settings.clickhouse is not None
        hub = Hub()
        history = AsyncClickHouse(settings.clickhouse)
        market = Market(settings, Cache(settings.redis, patience=0.5), history, self.status, self.context.stop.is_set)
        app = application(market, Sockets(hub, settings.gateway))
        loop = asyncio.get_running_loop()

        room = threading.Semaphore(_BATCHES)

        def publish(events: list[Event]) -> None:
            room.release()
            for event in events:
                hub.publish(event.stream, event.place, event.text(), event.series)
                market.hear(event)

        def deliver(events: list[Event]) -> None:
            while not room.acquire(timeout=0.1):  # the loop is behind: the reader waits, and Kafka keeps the records
                if self.context.stop.is_set():
                    return
            with contextlib.suppress(RuntimeError):  # the loop has ended
                loop.call_soon_threadsafe(publish, events)

        host, port = split_address(settings.gateway_listen)
        server = uvicorn.Server(
            uvicorn.Config(
                app, host=host, port=port, log_level="warning", ws="websockets-sansio", lifespan="off",
                ws_max_size=64 * 1024, ws_ping_interval=20, ws_ping_timeout=20, timeout_graceful_shutdown=3,
            )
        )  # fmt: skip
        reader = Reader(settings, self.status, self.context.stop, deliver)
        async with _until_stopped(self, server):
            reader.start()
            # Its public `serve` takes the signals over, which are the runner's.
            await server._serve()
        reader.join()
        await history.close()


@contextlib.asynccontextmanager
async def _until_stopped(service: GatewayService, server: uvicorn.Server) -> AsyncIterator[None]:
    """End the server when the service is told to stop; say ready once it listens."""

    async def watch() -> None:
        while not service.context.stop.is_set():
            await asyncio.sleep(0.05)
            service.status.ready = server.started
        server.should_exit = True

    task = asyncio.create_task(watch())
    try:
        yield
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
