"""The kill test of the ordinary tests, fifty times: `make soak`. BARNABAS_KILLS asks for another number."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

TEST = Path(__file__).parents[1] / "barnabas" / "tests" / "node" / "test_kills.py"


def test_acknowledged_records_outlive_many_kills() -> None:
    environment = {"BARNABAS_KILLS": "50", **os.environ}
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-k", "acknowledged", str(TEST)]
    done = subprocess.run(command, check=False, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
