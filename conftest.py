"""What holds for the tests of both distributions, the examples and the benchmarks."""

from __future__ import annotations

import os
from pathlib import Path

from hypothesis import HealthCheck, settings

# How long an example takes tells what else the machine does.
settings.register_profile("calm", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("calm")

# All HTTP here stays on this machine. By itself httpx reads the web's authorities for each client and each `httpx.get`,
# 25 ms of a processor every time: a folder without any is read at once, by the services that tests start as well.
os.environ.pop("SSL_CERT_FILE", None)
os.environ["SSL_CERT_DIR"] = str(Path(__file__).parent / "testkit")
