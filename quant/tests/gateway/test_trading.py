"""The portfolio over HTTP and WebSocket: everybody's own, nobody else's."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest
from confluent_kafka import Producer
from websockets.sync.client import ClientConnection, connect

from barnabas_quant.gateway.portfolio import KEPT
from barnabas_quant.model.money import ONE
from barnabas_quant.model.records import Tick
from barnabas_quant.trading.events import Place
from barnabas_quant.trading.orders import OrderRequest

from ..conftest import eventually
from ..stores import ClickHouse, Valkey
from ..trading.test_services import Running, tell
from .common import Browser, GatewayProcess

# Nobody tells prices here but the tests: alerts of their age would come in between.
CASH = '[trading.cash]\nUSDT = "100000"\nCNY = "50000"\n[trading.watch]\nsilent = {}\nstale = {}\n'
KEY = "binance:BTCUSDT"


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory, kafka: str, valkey: Valkey) -> Iterator[GatewayProcess]:
    """Give a gateway with everything behind it: the trading service, the history, its writer, a price."""
    folder = tmp_path_factory.mktemp("trading")
    with ClickHouse(tmp_path_factory.mktemp("clickhouse")) as clickhouse:
        services = [
            Running(folder, kafka, "trading", CASH),
            Running(folder, kafka, "history", f'clickhouse = "{clickhouse.url}"\n[history]\nseconds = 0.1\n'),
        ]
        running = GatewayProcess(folder, kafka, valkey.url, clickhouse=clickhouse.url)
        try:
            eventually(running.writes)
            quotes(kafka, running)
            yield running
            running.end()
            for service in services:
                service.end()
        finally:
            running.kill()
            for service in services:
                service.kill()


def quotes(kafka: str, gateway: GatewayProcess) -> None:
    """Tell prices until the trading service has heard one: it reads those that come while it runs."""
    producer, house = Producer({"bootstrap.servers": kafka}), gateway.client()
    house.headers.update(gateway.operator())
    number = 0

    def told() -> bool:
        nonlocal number
        number += 1
        now = time.time_ns() // 1000
        tick = Tick(
            exchange="binance", symbol="BTCUSDT", kind="quote", price=None, bid="50000.00", bid_size="100",
            ask="50000.10", ask_size="100", update_id=number, event_time=now, receive_time=now,
        )  # fmt: skip
        producer.produce("market_data.ticks", msgspec.json.encode(tick), KEY.encode())
        assert producer.flush(20) == 0
        answer = house.post("orders", json={"symbol": "BTCUSDT", "side": "BUY", "quantity": "0.1", "test": True})
        return answer.status_code == 200 and bool(answer.json()["decision"]["verdict"] == "accepted")

    eventually(told)


def user(gateway: GatewayProcess, name: str) -> Browser:
    browser = gateway.client()
    assert browser.register(name).status_code == 201
    eventually(lambda: browser.get("portfolio").json().get("opened"))
    return browser


@contextmanager
def hearing(gateway: GatewayProcess, browser: Browser) -> Iterator[ClientConnection]:
    cookies = "; ".join(f"{name}={value}" for name, value in browser.cookies.items())
    headers = {"Cookie": cookies, "X-Forwarded-For": "192.0.2.1"}
    with connect(f"ws://127.0.0.1:{gateway.port}/api/v1/stream", additional_headers=headers) as socket:
        socket.send('{"op":"subscribe","streams":["account"]}')
        assert json.loads(socket.recv(20)) == [{"op": "subscribed", "streams": ["account"]}]
        yield socket


def until_told(socket: ClientConnection, *topics: str) -> list[dict[str, Any]]:
    """Give what comes, until each of these topics has told something. They come each at its own pace."""
    found: list[dict[str, Any]] = []
    while not {*topics} <= {event["topic"] for event in found}:
        found += json.loads(socket.recv(20))
    return found


def test_everybody_has_their_own(gateway: GatewayProcess) -> None:
    anna, bob = user(gateway, "anna"), user(gateway, "bob")
    with hearing(gateway, anna) as hers, hearing(gateway, bob) as his:
        bought = anna.post("orders", json={"symbol": "BTCUSDT", "side": "BUY", "quantity": "0.5"})
        assert bought.status_code == 201, bought.text
        assert bought.json()["decision"]["account"] == "anna"
        heard = until_told(hers, "trade-decisions", "orders", "fills", "positions")
        assert {event["stream"] for event in heard} == {"account"}
        assert {event["data"]["account"] for event in heard} == {"anna"}
        bob.post("orders", json={"symbol": "BTCUSDT", "side": "BUY", "quantity": "0.001"})
        assert {event["data"]["account"] for event in until_told(his, "fills", "positions")} == {"bob"}

    resting = anna.post("orders", json={"symbol": "BTCUSDT", "side": "BUY", "quantity": "0.1", "price": "49000"}).json()
    eventually(lambda: len(anna.get("portfolio").json()["orders"]) == 1)
    has = anna.get("portfolio").json()
    assert [(one["instrument"], one["quantity"]) for one in has["positions"]] == [(KEY, "0.5")]
    assert has["orders"][0]["order"] == resting["id"] and has["orders"][0]["status"] == "accepted"
    assert [one["quantity"] for one in bob.get("portfolio").json()["positions"]] == ["0.001"]
    assert [one["quantity"] for one in anna.get("fills").json()["fills"]] == ["0.5"]
    assert [one["quantity"] for one in bob.get("fills").json()["fills"]] == ["0.001"]
    # Neither can touch what is the other's, and the house does not see it
    refused = bob.delete(f"orders/{resting['id']}")
    assert refused.status_code == 422 and "no open order" in refused.json()["decision"]["reason"]
    house = gateway.client()
    house.headers.update(gateway.operator())
    assert house.get("portfolio").json()["account"] == "main"
    assert house.get("fills").json()["fills"] == []
    assert b"anna" not in b"".join(house.received) and b"anna" not in b"".join(bob.received)
    assert anna.delete(f"orders/{resting['id']}").status_code == 200
    eventually(lambda: not anna.get("portfolio").json()["orders"])
    assert anna.get("orders").json()["orders"][0]["step"] == "cancel"


def test_a_gateway_that_comes_back_knows_it_all(gateway: GatewayProcess) -> None:
    eve = user(gateway, "eve")
    for side in ("BUY", "SELL", "BUY"):
        assert eve.post("orders", json={"symbol": "BTCUSDT", "side": side, "quantity": "0.2"}).status_code == 201
    eve.post("orders", json={"symbol": "BTCUSDT", "side": "BUY", "quantity": "0.1", "price": "48000"})
    eve.put("kill-switch", json={"on": False, "reason": "enough"})
    paths = ("portfolio", "fills", "orders", "decisions", "cash-flows", "alerts")
    eventually(lambda: not eve.get("portfolio").json()["orders"] and len(eve.get("fills").json()["fills"]) == 3)
    before = {path: eve.get(path).json() for path in paths}
    assert before["portfolio"]["trading"] is False and before["portfolio"]["switch"] == "pulled by eve: enough"
    gateway.kill()
    gateway.start()
    eventually(gateway.writes)
    eventually(lambda: {path: eve.get(path).json() for path in paths} == before)
    curve = eve.get("equity/USDT").json()["points"]
    assert Decimal(curve[0]["equity"]) == 100_000 and curve == sorted(curve, key=lambda point: point["time"])
    told = {one["currency"]: one["equity"] for one in eve.get("portfolio").json()["equity"]}
    assert Decimal(curve[-1]["equity"]) == Decimal(told["USDT"])
    assert len(eve.get("equity/USDT", params={"points": 2}).json()["points"]) <= 2
    assert eve.get("equity/XYZ").json()["points"] == []


def test_one_order_too_few_cancels_none(gateway: GatewayProcess) -> None:
    jan = user(gateway, "jan")
    jan.post("orders", json={"symbol": "BTCUSDT", "side": "BUY", "quantity": "0.1", "price": "49000"})
    eventually(lambda: len(jan.get("portfolio").json()["orders"]) == 1)
    answer = jan.delete("orders/")
    assert answer.status_code == 400 and "which order?" in answer.json()["message"]
    assert len(jan.get("portfolio").json()["orders"]) == 1
    assert jan.delete("orders").status_code == 200
    eventually(lambda: not jan.get("portfolio").json()["orders"])


def test_the_kill_switch_is_of_who_pulls_it(gateway: GatewayProcess) -> None:
    carl, dora = user(gateway, "carl"), user(gateway, "dora")
    order = {"symbol": "BTCUSDT", "side": "BUY", "quantity": "0.01"}
    assert carl.put("kill-switch", json={"on": False}).json()["decision"]["rule"] == "kill-switch"
    refused = carl.post("orders", json=order)
    assert refused.status_code == 422 and refused.json()["decision"]["rule"] == "kill-switch"
    assert dora.post("orders", json=order).status_code == 201
    assert carl.put("kill-switch", json={"on": True}).json()["decision"]["reason"] == "reset by carl: "
    assert carl.post("orders", json=order).status_code == 201


def test_a_trial_makes_no_order(gateway: GatewayProcess) -> None:
    finn = user(gateway, "finn")
    good = finn.post("orders", json={"symbol": "BTCUSDT", "side": "BUY", "quantity": "1", "test": True})
    assert good.status_code == 200 and good.json()["decision"]["numbers"]["price"] == "50000.1"
    poor = finn.post("orders", json={"symbol": "BTCUSDT", "side": "BUY", "quantity": "3", "test": True})
    assert poor.status_code == 200 and poor.json()["decision"]["verdict"] == "rejected"
    assert poor.json()["decision"]["rule"] == "venue"
    far = finn.post(
        "orders", json={"symbol": "BTCUSDT", "side": "BUY", "quantity": "0.1", "price": "60000", "test": True}
    )
    assert far.json()["decision"]["rule"] == "price_collar"
    assert finn.get("portfolio").json()["orders"] == [] == finn.get("orders").json()["orders"]


def test_what_the_venue_rejects_is_said_at_once(gateway: GatewayProcess) -> None:
    ida = user(gateway, "ida")

    def decided(body: dict[str, str]) -> httpx.Response:
        """Send an order until the venue's word was there in the moment that an answer waits for it."""
        answers: list[httpx.Response] = []

        def sent() -> bool:
            answers.append(ida.post("orders", json=body))
            return answers[-1].json()["order"] is not None

        eventually(sent)
        return answers[-1]

    answer = decided({"symbol": "BTCUSDT", "side": "SELL", "quantity": "1"})
    assert answer.status_code == 422
    assert answer.json()["decision"]["verdict"] == "accepted"  # by the limits
    assert answer.json()["order"]["status"] == "rejected" and "position" in answer.json()["order"]["reason"]
    answer = decided({"symbol": "BTCUSDT", "side": "BUY", "quantity": "0.1", "price": "49500"})
    assert (answer.status_code, answer.json()["order"]["status"]) == (201, "accepted")


BAD: list[tuple[dict[str, Any], str]] = [
    ({}, "symbol"),
    ({"symbol": "BTCUSDT", "side": "BUY"}, "quantity"),
    ({"symbol": "BTCUSDT", "side": "BUY", "quantity": 1}, "str"),
    ({"symbol": "BTCUSDT", "side": "BUY", "quantity": "-1"}, "quantity"),
    ({"symbol": "BTCUSDT", "side": "BUY", "quantity": "0"}, "above 0"),
    ({"symbol": "BTCUSDT", "side": "HOLD", "quantity": "1"}, "HOLD"),
    ({"symbol": "NOTHING", "side": "BUY", "quantity": "1"}, "symbol"),
    ({"symbol": "BTCUSDT", "side": "BUY", "quantity": "1", "account": "main"}, "account"),
    ({"symbol": "BTCUSDT", "side": "BUY", "quantity": "1", "type": "stop"}, "trigger"),
    ({"symbol": "BTCUSDT", "side": "BUY", "quantity": "1", "group": "g" * 61}, "group"),
]


@pytest.mark.parametrize(("body", "reason"), BAD)
def test_bad_orders_are_refused_in_words(
    gateway: GatewayProcess, closed_user: Browser, body: dict[str, Any], reason: str
) -> None:
    answer = closed_user.post("orders", json=body)
    assert answer.status_code == 400 and reason in answer.json()["message"]


@pytest.fixture(scope="module")
def closed_user(gateway: GatewayProcess) -> Browser:
    return user(gateway, "gina")


def test_who_does_not_say_who_they_are_sees_nothing(gateway: GatewayProcess) -> None:
    nobody = gateway.client()
    for path in ("portfolio", "orders", "fills", "decisions", "alerts", "cash-flows", "equity/USDT"):
        assert nobody.get(path).status_code == 401
    assert nobody.post("orders", json={"symbol": "BTCUSDT", "side": "BUY", "quantity": "1"}).status_code == 401
    assert nobody.delete("orders").status_code == 401
    assert nobody.put("kill-switch", json={"on": False}).status_code == 401
    url = f"ws://127.0.0.1:{gateway.port}/api/v1/stream"
    with connect(url, additional_headers={"X-Forwarded-For": "192.0.2.1"}) as socket:
        for stream, reason in (("account", "sign in"), ("account:main", "that of who asks"), ("account:*", "who asks")):
            socket.send(json.dumps({"op": "subscribe", "streams": ["signal", stream]}))
            (answer,) = json.loads(socket.recv(20))
            assert answer["op"] == "error" and reason in answer["message"]
        socket.send('{"op":"list"}')
        assert json.loads(socket.recv(20)) == [{"op": "list", "streams": []}]


def test_older_records_come_from_the_history(gateway: GatewayProcess, kafka: str) -> None:
    hans = user(gateway, "hans")
    request = OrderRequest(instrument=KEY, side="BUY", quantity=ONE // 100)
    count = KEPT + 60
    tell(kafka, "trade-commands", *[msgspec.json.encode(Place("", 0, request, "hans", test=True))] * count)

    def every() -> list[int]:
        found: list[int] = []
        while True:
            more = {"before": found[-1]} if found else {}
            page = hans.get("decisions", params={"limit": 200, **more}).json()["decisions"]
            if not page:
                return found
            found += [one["seq"] for one in page]

    eventually(lambda: len(every()) == count + 1)  # and that of its opening
    found = every()
    assert found == sorted(set(found), reverse=True)


@pytest.mark.long
def test_past_orders_are_known_after_a_restart_too(gateway: GatewayProcess, kafka: str) -> None:
    kai = user(gateway, "kai")
    request = OrderRequest(instrument=KEY, side="BUY", quantity=ONE // 10_000)
    count = KEPT // 2  # of several events each, which are more than are kept
    tell(kafka, "trade-commands", *[msgspec.json.encode(Place("", 0, request, "kai"))] * count)

    def over() -> int:
        return len(kai.get("orders", params={"limit": KEPT}).json()["orders"])

    eventually(lambda: over() == count)
    gateway.kill()
    gateway.start()
    eventually(gateway.writes)
    eventually(lambda: over() == count)


def test_what_is_no_number(gateway: GatewayProcess, closed_user: Browser) -> None:
    for path, given in (("fills", "limit"), ("orders", "before"), ("equity/USDT", "points")):
        assert closed_user.get(path, params={given: "x"}).status_code == 400
    assert closed_user.get("orders", params={"status": "lost"}).status_code == 400


def test_the_page_of_the_api_tells_of_it(gateway: GatewayProcess, tmp_path: Path) -> None:
    paths = httpx.get(f"{gateway.url}/api/v1/openapi.json").json()["paths"]
    assert {"get", "post", "delete"} <= paths["/api/v1/orders"].keys()
