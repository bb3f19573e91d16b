"""Run the log collection: what is shipped can be searched, each line once."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

Run = Callable[..., list[str]]
Unique = Callable[[str], str]
SHIP = Path(__file__).parent.parent / "log_collection" / "ship.py"
INDEX = "log_collection/index.py"


def test_lines_are_shipped_once_and_found(run: Run, unique: Unique, tmp_path: Path) -> None:
    """Finished lines arrive; later ones follow; a lost registry repeats records but no line of the index."""
    topic, group, log = unique("logs"), unique("log-index"), tmp_path / "app.log"
    log.write_text("GET / 200\nGET /slow TIMEOUT\nhalf a li", encoding="utf-8")
    ship = ("log_collection/ship.py", "--topic", topic, "--host", "web1", str(log))
    index = (INDEX, "--topic", topic, "--group", group, "--once")
    assert run(*ship) == ["shipped 2 lines"]
    assert run(*ship) == []
    with log.open("a", encoding="utf-8") as end:
        end.write("ne: timeout again ✓\n")
    assert run(*ship) == ["shipped 1 lines"]
    (tmp_path / "shipped.json").unlink()
    assert run(*ship) == ["shipped 3 lines"]

    stored = [line.split() for line in run(*index)]
    assert sum(int(new) for _, new, *_ in stored) == 3
    assert sum(int(total) for _, _, _, total, _ in stored) == 6
    assert run(INDEX, "--search", "timeout") == [
        f"web1:{log}:10: GET /slow TIMEOUT",
        f"web1:{log}:28: half a line: timeout again ✓",
    ]


def test_each_group_gets_every_line(run: Run, unique: Unique, tmp_path: Path) -> None:
    """Two groups store all lines, each in its own database; a group that comes again has nothing left."""
    topic, log = unique("logs"), tmp_path / "app.log"
    log.write_text("one\ntwo\nthree\n", encoding="utf-8")
    assert run("log_collection/ship.py", "--topic", topic, str(log)) == ["shipped 3 lines"]
    for group in (unique("first"), unique("second")):
        index = (INDEX, "--topic", topic, "--group", group, "--database", group, "--once")
        assert sum(int(line.split()[1]) for line in run(*index)) == 3
        assert run(*index) == []
        assert len(run(INDEX, "--database", group, "--search", "")) == 3


def test_a_truncated_file_starts_anew(run: Run, unique: Unique, tmp_path: Path) -> None:
    """A file that became shorter is read from its beginning."""
    topic, log = unique("logs"), tmp_path / "app.log"
    ship = ("log_collection/ship.py", "--topic", topic, str(log))
    log.write_text("one\ntwo\n", encoding="utf-8")
    assert run(*ship) == ["shipped 2 lines"]
    log.write_text("new\n", encoding="utf-8")
    assert run(*ship) == ["shipped 1 lines"]
    assert json.loads((tmp_path / "shipped.json").read_text()) == {str(log): 4}


def test_following_ends_on_sigterm(bootstrap: str, unique: Unique, tmp_path: Path) -> None:
    """With --follow new lines are shipped as they come, until SIGTERM ends the program with exit code 0."""
    log = tmp_path / "app.log"
    log.write_text("one\n", encoding="utf-8")
    command = [sys.executable, str(SHIP), "--bootstrap", bootstrap, "--topic", unique("logs"), "--follow", str(log)]
    with subprocess.Popen(
        command, cwd=tmp_path, stdout=subprocess.PIPE, encoding="utf-8", env=os.environ | {"PYTHONUNBUFFERED": "1"}
    ) as shipper:
        try:
            assert shipper.stdout is not None
            assert shipper.stdout.readline() == "shipped 1 lines\n"
            with log.open("a", encoding="utf-8") as end:
                end.write("two\nthree\n")
            assert shipper.stdout.readline() == "shipped 2 lines\n"
            shipper.send_signal(signal.SIGTERM)
            assert shipper.wait(60) == 0
        finally:
            shipper.kill()
