"""What holds for all tests of the repository."""

from __future__ import annotations

from hypothesis import HealthCheck, settings

# How long an example takes tells what else the machine does.
settings.register_profile("calm", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("calm")
