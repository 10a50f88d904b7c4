"""What holds for all tests."""

from hypothesis import HealthCheck, settings

# A busy machine is no error: neither an example nor drawing it is measured by the clock.
settings.register_profile("without a clock", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("without a clock")
