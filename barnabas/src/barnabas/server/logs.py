"""Write log lines: as Kafka's own for people and for scripts that wait for a line, or as JSON for machines."""

from __future__ import annotations

import json
import logging
import sys
import time

KAFKA_SERVER = logging.getLogger("kafka.server.KafkaServer")
KAFKA_RAFT_SERVER = logging.getLogger("kafka.server.KafkaRaftServer")
KAFKA_CONFIG = logging.getLogger("kafka.server.KafkaConfig")

_LEVELS = {"WARNING": "WARN", "CRITICAL": "FATAL"}


class TextFormatter(logging.Formatter):
    """Write `[time] LEVEL message (logger)`, as Kafka does."""

    def format(self, record: logging.LogRecord) -> str:
        when = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(record.created))
        level = _LEVELS.get(record.levelname, record.levelname)
        line = f"[{when},{int(record.msecs):03d}] {level} {record.getMessage()} ({record.name})"
        return line + "\n" + self.formatException(record.exc_info) if record.exc_info else line


class JsonFormatter(logging.Formatter):
    """Write one JSON object a line: time (seconds since the epoch), level, logger, message, exception."""

    def format(self, record: logging.LogRecord) -> str:
        entry = {
            "time": round(record.created, 3), "level": _LEVELS.get(record.levelname, record.levelname),
            "logger": record.name, "message": record.getMessage(),
        }
        if record.exc_info:
            entry["exception"] = self.formatException(record.exc_info)
        return json.dumps(entry, ensure_ascii=False)


def configure(form: str, level: str) -> None:
    """Send log lines to standard output in the given form."""
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(JsonFormatter() if form == "json" else TextFormatter())
    logging.basicConfig(level=level, handlers=[handler], force=True)
