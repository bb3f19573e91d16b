"""The platform's road under fifty kills: `make soak`. PLATFORM_KILLS asks for another number."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

TEST = Path(__file__).parents[1] / "quant" / "tests" / "test_platform.py"


def test_the_accounts_come_out_even_after_many_kills() -> None:
    environment = {"PLATFORM_KILLS": "50", **os.environ}
    command = [sys.executable, "-m", "pytest", "-n", "0", "-m", "long", "-p", "no:cacheprovider", str(TEST)]
    done = subprocess.run(command, check=False, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
