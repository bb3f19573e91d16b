"""The property test of recovery, with many more examples than the ordinary tests take."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

TESTS = Path(__file__).parents[1] / "barnabas" / "tests" / "log"


def test_recovery_many_times() -> None:
    environment = {"BARNABAS_EXAMPLES": "5000", **os.environ}
    command = [
        sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-k", "in_front_of_the_damage or plain_search",
        str(TESTS),
    ]
    done = subprocess.run(command, check=False, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
