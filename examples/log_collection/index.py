"""Keep the lines of a log topic in an SQLite file that can be searched, each line exactly once.

A line's identity is host, file and position: a line that was shipped twice is stored once. Offsets are committed after
the rows are, so that a crash repeats rows (which changes nothing) and never skips any.

    python index.py --bootstrap localhost:9092 --database logs.sqlite
    python index.py --database logs.sqlite --search timeout
"""

from __future__ import annotations

import argparse
import json
import signal
import sqlite3
import threading
from contextlib import closing
from pathlib import Path

from confluent_kafka import Consumer, KafkaError, KafkaException, Message

SCHEMA = """
CREATE TABLE IF NOT EXISTS line (
    host TEXT, file TEXT, position INTEGER, text TEXT, PRIMARY KEY (host, file, position)
) WITHOUT ROWID
"""


def store(database: sqlite3.Connection, messages: list[Message]) -> int:
    """Store the lines of some records in one transaction; return how many of them were new."""
    rows = [json.loads(message.value() or b"null") for message in messages]
    before = database.total_changes
    with database:
        database.executemany("INSERT OR IGNORE INTO line VALUES (:host, :file, :position, :text)", rows)
    return database.total_changes - before


def search(database: sqlite3.Connection, word: str) -> list[tuple[str, str, int, str]]:
    """Return host, file, position and text of each line that holds the word, upper or lower case."""
    query = "SELECT host, file, position, text FROM line WHERE instr(lower(text), lower(?)) ORDER BY 1, 2, 3"
    return list(database.execute(query, (word,)))


def consume(options: argparse.Namespace, database: sqlite3.Connection) -> None:
    """Store lines until Ctrl-C or SIGTERM, or with --once until every partition was at its end."""
    stopping = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stopping.set())
    consumer = Consumer(
        {
            "bootstrap.servers": options.bootstrap,
            "group.id": options.group,
            "auto.offset.reset": "earliest",
            "enable.auto.commit": False,
            "enable.partition.eof": True,
        }
    )
    consumer.subscribe([options.topic])
    ended: set[int] = set()
    try:
        while not stopping.is_set():
            lines = []
            for message in consumer.consume(1000, timeout=0.2):
                error = message.error()
                if error is None:
                    lines.append(message)
                elif error.code() == KafkaError._PARTITION_EOF:
                    ended.add(message.partition() or 0)
                else:
                    raise KafkaException(error)
            if lines:
                print(f"stored {store(database, lines)} of {len(lines)} lines", flush=True)
                consumer.commit(asynchronous=False)
            mine = {partition.partition for partition in consumer.assignment()}
            if options.once and mine and mine <= ended:
                return
    finally:
        consumer.close()


def main() -> None:
    """Fill the index, or search it."""
    parser = argparse.ArgumentParser(description="Index a topic of log lines in SQLite, or search that index.")
    parser.add_argument("--bootstrap", default="localhost:9092", metavar="HOST:PORT")
    parser.add_argument("--topic", default="logs")
    parser.add_argument("--group", default="log-index")
    parser.add_argument("--database", type=Path, default=Path("logs.sqlite"))
    parser.add_argument("--once", action="store_true", help="end at the end of the topic")
    parser.add_argument("--search", metavar="WORD", help="print the stored lines that hold a word, and end")
    options = parser.parse_args()
    with closing(sqlite3.connect(options.database)) as database:
        database.execute(SCHEMA)
        if options.search is None:
            consume(options, database)
        else:
            for host, file, position, text in search(database, options.search):
                print(f"{host}:{file}:{position}: {text}")


if __name__ == "__main__":
    main()
