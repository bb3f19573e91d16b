"""Commands of people on their way to a service, while Kafka is away."""

from __future__ import annotations

import asyncio
import time

from barnabas_quant.gateway.commands import Commands
from barnabas_quant.trading.events import Decision, Switch
from testkit.ports import free_ports


def test_who_waits_for_kafka_holds_nobody_else_up() -> None:
    async def ask() -> float:
        commands = Commands[Decision](f"127.0.0.1:{free_ports(1)[0]}", "trade-commands")
        asking = [
            asyncio.create_task(commands.ask(Switch("", 0, True, "anna", "", False, "anna"), 5.0)) for _ in range(50)
        ]
        await asyncio.sleep(0.2)
        begun = time.monotonic()
        await asyncio.to_thread(time.monotonic)  # as Redis and the health of the stores are asked
        waited = time.monotonic() - begun
        assert not any(each.done() for each in asking)
        for each in asking:
            each.cancel()
        await asyncio.gather(*asking, return_exceptions=True)
        commands.close()
        return waited

    assert asyncio.run(ask()) < 8.0
