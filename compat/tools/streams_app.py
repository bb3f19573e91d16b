"""Start and close streams applications (`compat/java/streams-group`) from tables of commands.

`streams-start ADDRESS GROUP` starts one and waits until it has its tasks; `streams-stop GROUP` closes it, which leaves
an empty group. The program is built when it is missing or older than its source.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

from transcript import Case

JAVA = Path(__file__).resolve().parents[1] / "java"
BUILT = Path(os.environ.get("BARNABAS_COMPAT_CACHE") or Path.home() / ".cache" / "barnabas-compat").resolve() / "java"
MODULE = "streams-group"
Tool = Callable[[list[str], Case], tuple[int, str, str]]


class StreamsApplications:
    """Hold the applications that run, by group."""

    def __init__(self) -> None:
        self._running: dict[str, subprocess.Popen[str]] = {}

    def beside(self, tool: Tool) -> Tool:
        """Return a tool that runs the commands of this module too."""

        def run(words: list[str], case: Case) -> tuple[int, str, str]:
            if words[0] == "streams-start":
                return self._start(*words[1:])
            if words[0] == "streams-stop":
                return self._stop(words[1])
            return tool(words, case)

        return run

    def close(self) -> None:
        """Close all applications."""
        for group in list(self._running):
            self._stop(group)

    def _start(self, address: str, group: str) -> tuple[int, str, str]:
        build()
        process = subprocess.Popen(
            [
                "java", "-Xmx256m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1",
                "-Dorg.slf4j.simpleLogger.defaultLogLevel=off",
                "-cp", f"{BUILT / MODULE / 'classes'}:{BUILT / MODULE / 'libs'}/*", "barnabas.compat.StreamsGroup",
                address, group,
            ],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )
        self._running[group] = process
        assert process.stdout is not None
        running = process.stdout.readline() == "running\n"  # or the end, where it failed
        return 0 if running else 1, "", ""

    def _stop(self, group: str) -> tuple[int, str, str]:
        process = self._running.pop(group)
        process.communicate(timeout=60)
        return process.returncode, "", ""


def build() -> None:
    """Build the program, unless it is there and newer than its source."""
    sources = [JAVA / "pom.xml", *(path for path in (JAVA / MODULE).rglob("*") if path.is_file())]
    made = BUILT / MODULE / "libs"
    if made.exists() and made.stat().st_mtime >= max(path.stat().st_mtime for path in sources):
        return
    maven = ["mvn", "-q", "-B", "-f", str(JAVA / "pom.xml"), "-pl", MODULE, "-am", f"-Dcompat.build={BUILT}"]
    subprocess.run([*maven, "package", "dependency:copy-dependencies"], check=True, capture_output=True)
    os.utime(made)
