"""What holds for all tests: how long the machine takes is no finding, and gRPC leaves forks alone."""

import os

from hypothesis import HealthCheck, settings

# A clean checkout on a busy machine takes a second for the first text alone.
settings.register_profile("busy machine", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("busy machine")

# Tests fork. Before grpcio is imported: with its own handlers a forked process ends now and then by SIGABRT
# (https://github.com/grpc/grpc/issues/43055).
os.environ["GRPC_ENABLE_FORK_SUPPORT"] = "0"
