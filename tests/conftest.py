"""What holds for all tests: how long the machine takes is no finding of a property test."""

from hypothesis import HealthCheck, settings

# A clean checkout on a busy machine takes a second for the first text alone.
settings.register_profile("busy machine", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("busy machine")
