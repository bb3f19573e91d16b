"""Settings of the property tests: a machine that is busy with other tests is no failure."""

from hypothesis import HealthCheck, settings

relaxed = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
