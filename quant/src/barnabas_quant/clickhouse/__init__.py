"""The embedded ClickHouse: chDB behind ClickHouse's HTTP interface, as a process of its own (see server)."""
