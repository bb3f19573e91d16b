"""Records over HTTP: every way to seek, filters, live, whole records, exports, writing, hostile bytes, bounds."""

from __future__ import annotations

import csv
import http.client
import io
import json
import random
import struct
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

from barnabas.embedded import Broker
from barnabas.protocol.messages.produce import PartitionProduceData, ProduceRequest, TopicProduceData
from testkit.ports import free_port

from ..log.making import batch
from ..wire import Wire
from .site import Answer, Console, produce, until

BIG = 2**53 + 1
Topic = Callable[..., str]


def messages(console: Console, topic: str, **query: object) -> Answer:
    return console.get(f"/clusters/local/topics/{topic}/messages", **query)


def places(answer: Answer) -> list[tuple[int, int]]:
    return [(record["partition"], int(record["offset"])) for record in answer.records]


@pytest.fixture(scope="module")
def spread(broker: Broker) -> tuple[str, list[tuple[int, int, int]]]:
    """Fill twelve partitions unevenly; return the topic, and time, partition, offset of every record."""
    broker.create_topic("spread", 12, {"retention.ms": "-1"})  # its times are of 2023
    chance = random.Random(7)
    offsets = [0] * 12
    known, records = [], []
    for number in range(3000):
        p = min(11, int(chance.expovariate(0.4)))
        at = 1_700_000_000_000 + number * 10 + chance.randrange(3)
        known.append((at, p, offsets[p]))
        records.append({
            "value": json.dumps({"n": number, "odd": number % 2 == 1}).encode(), "key": b"k%d" % (number % 5),
            "partition": p, "timestamp": at,
        })
        offsets[p] += 1
    produce(broker.bootstrap, "spread", records)
    return "spread", known


# --- ways to seek -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("limit", [1, 7, 100, 1000])
def test_newest_is_newest_of_all_partitions(
    console: Console, spread: tuple[str, list[tuple[int, int, int]]], limit: int
) -> None:
    topic, known = spread
    answer = messages(console, topic, limit=limit)
    assert places(answer) == [(p, offset) for _, p, offset in sorted(known, reverse=True)[:limit]]
    assert answer.lines[-1]["reason"] == "limit"


def test_pages_of_newest_go_down_to_the_first(
    console: Console, spread: tuple[str, list[tuple[int, int, int]]]
) -> None:
    topic, known = spread
    found: list[tuple[int, int]] = []
    at = ""
    while True:
        answer = messages(console, topic, limit=700, at=at)
        found += places(answer)
        if answer.lines[-1]["reason"] == "end":
            break
        at = ",".join(f"{p}:{offset}" for p, offset in answer.lines[-1]["next"].items())
    assert found == [(p, offset) for _, p, offset in sorted(known, reverse=True)]


def test_newest_with_a_filter_goes_back_as_far_as_it_must(
    console: Console, spread: tuple[str, list[tuple[int, int, int]]]
) -> None:
    topic, _ = spread
    answer = messages(console, topic, limit=20, where="value.n < 40 && value.odd")
    assert [json.loads(record["value"]["text"])["n"] for record in answer.records] == list(range(39, 0, -2))
    end = answer.lines[-1]
    assert end["matched"] == 20
    assert int(end["scanned"]) >= 2960 - 20
    assert end["errors"] == 0


def test_forward_from_the_oldest_an_offset_and_a_time(
    console: Console, spread: tuple[str, list[tuple[int, int, int]]]
) -> None:
    topic, known = spread
    everything: list[tuple[int, int]] = []
    at = ""
    while True:
        answer = messages(console, topic, from_="oldest", limit=1000, at=at)
        everything += places(answer)
        if answer.lines[-1]["reason"] == "end":
            break
        at = ",".join(f"{p}:{offset}" for p, offset in answer.lines[-1]["next"].items())
    assert sorted(everything) == sorted((p, offset) for _, p, offset in known)

    some = messages(console, topic, from_="offset", offset=500, partitions="0,1", limit=1000)
    assert set(places(some)) == {(p, offset) for _, p, offset in known if p < 2 and offset >= 500}
    since = known[2500][0]
    later = messages(console, topic, from_="time", time=since, limit=1000)
    assert set(places(later)) == {(p, offset) for t, p, offset in known if t >= since}
    assert messages(console, topic, from_="time", time=2**62).records == []
    assert messages(console, topic, from_="offset", offset=BIG).records == []


def test_text_is_found_in_keys_values_and_headers(console: Console, broker: Broker, topic: Topic) -> None:
    name = topic()
    produce(broker.bootstrap, name, [
        {"value": b"Needle in a value"}, {"value": b"x", "key": b"a NEEDLE"}, {"value": b"nothing"},
        {"value": b"x", "headers": [("h", b"needle")]}, {"value": b"x", "headers": [("needle", b"")]},
        {"value": b"\xff\xab"},
    ])
    assert [offset for _, offset in places(messages(console, name, from_="oldest", text="needle"))] == [0, 1, 3, 4]
    assert [offset for _, offset in places(messages(console, name, text="ffAB"))] == [5]  # as shown: in digits


def test_a_wrong_question_says_what_is_wrong(console: Console, topic: Topic) -> None:
    name = topic()
    for query, word in (
        ({"where": "value.x ="}, "where"), ({"from_": "middle"}, "from"), ({"limit": 0}, "limit"),
        ({"limit": "1e3"}, "limit"), ({"partitions": "0,x"}, "partitions"), ({"from_": "offset"}, "offset"),
        ({"from_": "time"}, "time"), ({"key": "xml"}, "key"), ({"at": "0"}, "at"), ({"limit": 10**30}, "limit"),
    ):
        answer = messages(console, name, **query)
        assert (answer.status, answer.json["error"]) == (400, "bad_request")
        assert answer.json["message"].startswith(word)
    assert messages(console, name, where="value.x =").json["position"] == 8
    assert messages(console, "missing").status == 404
    assert messages(console, name, partitions="5").status == 404
    assert console.get("/clusters/other/topics/x/messages").status == 404


# --- numbers, bytes -----------------------------------------------------------------------------------------


def test_large_numbers_are_exact_everywhere(console: Console, broker: Broker, topic: Topic) -> None:
    name = topic()
    value = b'{"big": 9007199254740993, "more": 12345678901234567890.1234567890123456789}'
    produce(broker.bootstrap, name, [{"value": value, "key": BIG.to_bytes(8, "big")}])
    for record in (
        messages(console, name, key="int64").records[0],
        console.get(f"/clusters/local/topics/{name}/messages/0/0", key="int64").json,
        console.get(f"/clusters/local/topics/{name}/export", key="int64").json[0],
    ):
        assert record["value"]["text"].encode() == value
        assert record["key"]["text"] == str(BIG)
        assert record["offset"] == "0"
    found = console.get(f"/clusters/local/topics/{name}/export", key="int64", format="csv").body.decode()
    row = next(csv.DictReader(io.StringIO(found, newline="")))
    assert (row["value"].encode(), row["key"]) == (value, str(BIG))
    for where, count in (("value.big == 9007199254740993", 1), ("value.big == 9007199254740992", 0),
                         ("value.more > 12345678901234567890.1234567890123456788", 1), (f"key == {BIG}", 1)):
        assert len(messages(console, name, where=where, key="int64").records) == count


def hostile_batch() -> bytes:
    """Make a batch of one record whose header's name is not UTF-8."""
    made = bytearray(batch([b"v"], int(time.time() * 1000), keys=False))
    # the record: length, attributes, two deltas, no key, the value, then the count of headers, which is 0 at the end
    body = bytes(made[61:])
    record = body[1:-1] + b"\x02" + b"\x02\xff" + b"\x02x"
    made[61:] = bytes([len(record) << 1]) + record
    made[8:12] = struct.pack(">i", len(made) - 12)
    from google_crc32c import value as crc

    made[17:21] = struct.pack(">I", crc(bytes(made[21:])))
    return bytes(made)


def test_hostile_records_are_shown_as_text(console: Console, broker: Broker, topic: Topic) -> None:
    name = topic()
    values = [
        b"<script>alert(1)</script>", "\u202eright to left\u202c".encode(), b"\x01\x02\x1b[31m\x7f", b"\xc3\x28\xff",
        b"\0", b'{"a": "</script>\\u0000"}', b"[" * 20_000, "\ufeffbom".encode(), b"\xed\xa0\x80",
    ]
    produce(broker.bootstrap, name, [
        {"value": value, "key": value, "headers": [("<b>\u202e", value)]} for value in values
    ])
    answer = messages(console, name, from_="oldest")
    for value, record in zip(values, answer.records, strict=True):
        for part in (record["key"], record["value"], record["headers"][0]["value"]):
            shown = bytes.fromhex(part["text"]) if part["kind"] == "bytes" else part["text"].encode()
            assert shown == value[:4096]
            assert part["size"] == len(value)
            assert part["cut"] is (len(value) > 4096)
        assert record["headers"][0]["name"] == "<b>\u202e"
    assert answer.body.isascii() or answer.body.decode()
    for query in ({"text": "a"}, {"where": 'value.a == "x" || headers.x == "y"'}, {"value": "msgpack"},
                  {"value": "json"}, {"value": "avro"}):
        assert messages(console, name, from_="oldest", **query).lines[-1]["reason"] == "end"


def test_a_header_whose_name_is_no_text(console: Console, broker: Broker, topic: Topic) -> None:
    name = topic()
    produce(broker.bootstrap, name, [{"value": b"usual", "headers": [("a", b"b")]} for _ in range(500)])
    host, _, port = broker.bootstrap.rpartition(":")
    with Wire(host, int(port)) as wire:
        asked = ProduceRequest(None, -1, 5000, [TopicProduceData(name, partition_data=[
            PartitionProduceData(0, hostile_batch())
        ])])
        assert wire.request(asked, 9).responses[0].partition_responses[0].error_code == 0
    for _ in range(3):
        *usual, record = messages(console, name, from_="oldest", limit=1000).records
        assert len(usual) == 500
        assert record["value"]["text"] == "v"
    assert [header["value"]["error"] for header in record["headers"]] == [
        "the names of this record's headers are not UTF-8"
    ]


def test_large_records_are_cut_and_fetched_whole(console: Console, broker: Broker, topic: Topic) -> None:
    name = topic(max_message_bytes="4000000")
    large = b"x" * 2_000_000
    produce(broker.bootstrap, name, [{"value": large}])
    (record,) = messages(console, name, bytes=100).records
    assert (len(record["value"]["text"]), record["value"]["cut"], record["size"]) == (100, True, "2000000")
    whole = console.get(f"/clusters/local/topics/{name}/messages/0/0").json
    assert (len(whole["value"]["text"]), whole["value"]["cut"]) == (1 << 20, True)
    exported = console.get(f"/clusters/local/topics/{name}/export", format="csv").body.decode()
    csv.field_size_limit(1 << 21)
    row = next(csv.DictReader(io.StringIO(exported, newline="")))
    assert (len(row["value"]), row["cut"]) == (1 << 20, "value")
    raw = console.get(f"/clusters/local/topics/{name}/messages/0/0", part="value", raw=1)
    assert raw.body == large
    assert raw.headers["content-type"] == "application/octet-stream"
    assert raw.headers["content-disposition"].startswith("attachment")
    assert console.get(f"/clusters/local/topics/{name}/messages/0/0", part="key", raw=1).status == 204
    assert console.get(f"/clusters/local/topics/{name}/messages/0/1").status == 404
    assert console.get(f"/clusters/local/topics/{name}/messages/0/x").status == 400


def test_records_that_are_too_large_for_one_round_are_read_in_several(
    console: Console, broker: Broker, topic: Topic
) -> None:
    name = topic(2, max_message_bytes="2000000")
    large = b"\xff" * 1_000_000
    produce(broker.bootstrap, name, [{"value": large, "partition": n % 2, "key": b"%d" % n} for n in range(60)])
    path = f"/clusters/local/topics/{name}/export"
    with console.open("GET", path, from_="oldest") as response:
        keys = [record["key"]["text"] for record in json.load(response)]
    assert sorted(map(int, keys)) == list(range(60))
    page = messages(console, name, limit=60, bytes=1 << 20)  # 120 MB of digits: more than a page may have
    end = page.lines[-1]
    assert end["reason"] == "error"
    assert "too large" in end["message"]
    at = ",".join(f"{p}:{offset}" for p, offset in end["next"].items())
    rest = messages(console, name, limit=60, bytes=100, at=at)
    assert len(page.records) + len(rest.records) == 60
    with console.open("GET", path, from_="newest", limit=60) as response, pytest.raises(http.client.IncompleteRead):
        response.read()  # a file that is not complete is no file


# --- live ---------------------------------------------------------------------------------------------------


def test_live_shows_what_comes(console: Console, broker: Broker, topic: Topic) -> None:
    name = topic(3)
    produce(broker.bootstrap, name, [{"value": b"old"}])
    with console.open("GET", f"/clusters/local/topics/{name}/messages", from_="live", where='value != "skip"') as live:
        first = json.loads(live.readline())
        assert first["t"] == "progress"  # it is awake although nothing comes
        produce(broker.bootstrap, name, [{"value": b"new"}, {"value": b"skip"}, {"value": b"newer"}])
        found: set[str] = set()
        while found != {"new", "newer"}:
            line = json.loads(live.readline())
            assert line["t"] != "end"
            if line["t"] == "record":
                found.add(line["value"]["text"])


def test_scans_are_bounded_and_end_with_their_client(console: Console, topic: Topic) -> None:
    path = f"/clusters/local/topics/{topic()}/messages"
    opened = [console.open("GET", path, from_="live") for _ in range(8)]
    try:
        for one in opened:
            response = one.__enter__()
            assert response.status == 200
            response.readline()
        refused = console.get(path)
        assert (refused.status, refused.json["error"]) == (429, "busy")
    finally:
        for one in opened:
            one.__exit__(None, None, None)
    until(lambda: console.get(path).status == 200)


def test_a_slow_client_does_not_make_the_console_grow(console: Console, broker: Broker, topic: Topic) -> None:
    name = topic()
    produce(broker.bootstrap, name, [{"value": random.Random(1).randbytes(90_000)} for _ in range(1000)])

    def held() -> int:
        with open(f"/proc/{console.process.pid}/statm") as file:
            return int(file.read().split()[1]) * 4096

    messages(console, name)  # what the client library takes at its first use is not what is measured
    before = held()
    with console.open("GET", f"/clusters/local/topics/{name}/export", from_="oldest") as slow:
        slow.read(1000)
        for _ in range(20):  # meanwhile others are served
            assert messages(console, name, limit=5).status == 200
        grown = held() - before
    assert grown < 90 << 20  # of 180 MB of hexadecimal digits


# --- writing ------------------------------------------------------------------------------------------------


def content(kind: str, data: str = "") -> dict[str, str]:
    return {"kind": kind, "data": data}


def test_records_are_written_as_they_are(console: Console, topic: Topic) -> None:
    name = topic(2, retention_ms="-1")  # a time is of 2023
    path = f"/clusters/local/topics/{name}/messages"
    done = console.post(path, {
        "partition": 1, "key": content("hex", "ff00"), "value": content("base64", "AAEC"), "timestamp": "1700000000123",
        "headers": [{"name": "h", "value": content("text", "é")}, {"name": "n", "value": content("null")}],
    })
    assert done.status == 201
    assert done.json == {"partition": 1, "offset": "0", "timestamp": "1700000000123"}
    record = console.get(f"{path}/1/0").json
    assert (record["key"]["text"], record["value"]["text"]) == ("ff00", "000102")
    assert [(h["name"], h["value"]["kind"], h["value"]["text"]) for h in record["headers"]] == [
        ("h", "text", "é"), ("n", "null", "")
    ]
    assert console.post(path, {"key": content("text", "k"), "value": content("null"), "partition": None}).status == 201
    assert [r["value"]["kind"] for r in messages(console, name, where='key == "k"').records] == ["null"]
    for body, status in (
        ({"value": content("hex", "xyz")}, 400), ({"value": content("base64", "?")}, 400), ({}, 400),
        ({"value": content("text"), "partition": 7}, 404), ({"value": {"kind": "xml", "data": ""}}, 400),
        ({"value": content("text"), "timestamp": "1.5"}, 400), ({"value": content("text"), "timestamp": "0"}, 400),
    ):
        assert console.post(path, body).status == status
    missing = console.post("/clusters/local/topics/missing/messages", {"value": content("text")})
    assert missing.status == 404
    names = [one["name"] for one in console.get("/clusters/local/topics").json["topics"]]
    assert "missing" not in names  # nothing was created on the way


def test_a_record_that_is_too_large_is_refused(console: Console, topic: Topic) -> None:
    name = topic(max_message_bytes="1000")
    answer = console.post(f"/clusters/local/topics/{name}/messages", {"value": content("text", "x" * 5000)})
    assert (answer.status, answer.json["error"], answer.json["code"]) == (502, "kafka", "MESSAGE_TOO_LARGE")


# --- a broker that goes away --------------------------------------------------------------------------------


@pytest.mark.long
def test_a_broker_that_goes_and_comes_back() -> None:
    with (
        Broker(listen=f"127.0.0.1:{free_port()}", process=True) as broker,
        Console("--cluster", f"local={broker.bootstrap}") as console,
    ):
        broker.create_topic("t", 1)
        produce(broker.bootstrap, "t", [{"value": b"before"}])
        assert messages(console, "t").records[0]["value"]["text"] == "before"
        seen: list[dict[str, Any]] = []
        ready = threading.Event()

        def follow() -> None:
            with console.open("GET", "/clusters/local/topics/t/messages", from_="live") as live:
                for line in live:
                    seen.append(json.loads(line))
                    ready.set()
                    if seen[-1]["t"] == "record":
                        return

        follower = threading.Thread(target=follow)
        follower.start()
        assert ready.wait(30)
        broker.kill()
        away = console.get("/clusters/local/topics")
        assert (away.status, away.json["error"]) == (503, "unreachable")
        assert messages(console, "t").status == 503
        (state,) = console.get("/clusters").json["clusters"]
        assert (state["state"], state["supports"]) == ("down", None)
        until(lambda: seen[-1]["errors"] > 0)  # the live view says so, and stays
        broker.restart()
        until(lambda: console.get("/clusters/local/topics").status == 200)
        until(lambda: console.get("/clusters").json["clusters"][0]["state"] == "up")
        produce(broker.bootstrap, "t", [{"value": b"after"}])
        follower.join(60)
        assert seen[-1]["value"]["text"] == "after"
