"""Numbered changes of the schema: `0001_market.sql` and what follows, each applied once, in order.

A file runs as it stands on one server. For a replicated cluster (setting `history.cluster`) its marks become code:
`/*on_cluster*/` is `ON CLUSTER name`, and `/*replicated*/ReplacingMergeTree` is `ReplicatedReplacingMergeTree`, whose
path and replica come from the server's macros. What was applied stands in the table `schema_migrations`, with a
checksum: a file that was changed after it was applied is an error. Statements end with a semicolon at the end of a
line, and can each run again, so a migration that broke off is begun anew.
"""

from __future__ import annotations

import re
from hashlib import blake2b
from importlib.resources import files

import msgspec

from barnabas_quant.errors import SettingsError
from barnabas_quant.history.client import ClickHouse

_NAME = re.compile(r"(\d{4})_(\w+)\.sql\Z")
_CLUSTER = re.compile(r"[A-Za-z0-9_{}.\-]{1,100}\Z")

_TABLE = """
CREATE TABLE IF NOT EXISTS schema_migrations /*on_cluster*/
(
    version UInt32,
    name String,
    checksum String,
    applied_at DateTime64(3, 'UTC') DEFAULT now64(3)
)
ENGINE = /*replicated*/ReplacingMergeTree ORDER BY version
"""


class _Applied(msgspec.Struct):
    version: int
    checksum: str


class Migration(msgspec.Struct, frozen=True):
    """Hold one numbered file."""

    version: int
    name: str
    text: str

    @property
    def checksum(self) -> str:
        """Give the digest of its text."""
        return blake2b(self.text.encode(), digest_size=16).hexdigest()

    def statements(self, cluster: str | None) -> list[str]:
        """Give its statements, for one server or for a cluster. Raises SettingsError for a cluster's bad name."""
        parts = re.split(r";[ \t]*(?:\n|\Z)", self.text)
        return [adapted(part.strip(), cluster) for part in parts if re.sub(r"--[^\n]*", "", part).strip()]


def adapted(statement: str, cluster: str | None) -> str:
    """Put in what a cluster needs, or take the marks out. Raises SettingsError."""
    if cluster is None:
        return statement.replace("/*on_cluster*/", "").replace("/*replicated*/", "")
    if not _CLUSTER.match(cluster):
        raise SettingsError(f"history.cluster: not the name of a cluster: {cluster!r}")
    return statement.replace("/*on_cluster*/", f"ON CLUSTER '{cluster}'").replace("/*replicated*/", "Replicated")


def migrations() -> list[Migration]:
    """Give the migrations in order."""
    found = []
    for file in files(__name__).iterdir():
        if match := _NAME.match(file.name):
            found.append(Migration(int(match[1]), match[2], file.read_text("utf-8")))
    return sorted(found, key=lambda migration: migration.version)


def migrate(clickhouse: ClickHouse, cluster: str | None = None) -> list[str]:
    """Apply what was not applied yet; answer the names.

    Raises SettingsError where the database has another history, StoreUnavailable, ClickHouseError.
    """
    clickhouse.command(adapted(_TABLE, cluster))
    rows = clickhouse.rows("SELECT version, checksum FROM schema_migrations FINAL", _Applied)
    applied = {row.version: row.checksum for row in rows}
    known = migrations()
    if unknown := sorted(applied.keys() - {migration.version for migration in known}):
        raise SettingsError(f"the database has migrations that this version does not know: {unknown}")
    done = []
    for migration in known:
        checksum = applied.get(migration.version)
        if checksum == migration.checksum:
            continue
        if checksum is not None:
            raise SettingsError(f"migration {migration.version} ({migration.name}) has changed since it was applied")
        for statement in migration.statements(cluster):
            clickhouse.command(statement)
        clickhouse.command(
            "INSERT INTO schema_migrations (version, name, checksum) "
            "SELECT {version:UInt32}, {name:String}, {checksum:String}",
            version=migration.version,
            name=migration.name,
            checksum=migration.checksum,
        )
        done.append(f"{migration.version:04d}_{migration.name}")
    return done
