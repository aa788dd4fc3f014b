"""Programs that tests run: those that pip does not bring, `.ci/programs` does.

A developer without one of them sees a test skipped, with the reason. Where `PDP_TESTS_NEED` is set, as
`.ci/run` does, nothing is skipped for that: the test runs, and fails.
"""

import ctypes
import os
import shutil
import sysconfig
from pathlib import Path

import pytest

__all__ = ["brought", "is_skipped_without", "needs", "needs_library"]

_STRICT = bool(os.environ.get("PDP_TESTS_NEED"))


def is_skipped_without(*programs: str) -> bool:
    """Whether a test that runs these programs is skipped, because one is missing."""
    return not _STRICT and not all(map(shutil.which, programs))


def brought(program: str) -> Path:
    """A program that pip brings, with the requirements for development."""
    return Path(sysconfig.get_path("scripts")) / program


def needs(*programs: str) -> pytest.MarkDecorator:
    """A test that runs these programs."""
    return _unless([program for program in programs if shutil.which(program) is None])


def needs_library(library: str, *programs: str) -> pytest.MarkDecorator:
    """A test that takes a library of the system, and programs."""
    try:
        ctypes.CDLL(library)
    except OSError:
        return _unless([library])
    return needs(*programs)


def _unless(missing: list[str]) -> pytest.MarkDecorator:
    return pytest.mark.skipif(
        bool(missing) and not _STRICT, reason=f"not installed: {', '.join(missing)}; see .ci/programs"
    )
