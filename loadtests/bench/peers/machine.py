"""What the measurements ran on, read from the machine itself."""

import os
import platform
import re
import shutil
import subprocess
from importlib.metadata import version
from pathlib import Path

from loadtests.bench.peers import fetch_cerbos

__all__ = ["described", "load"]


def described() -> dict[str, str]:
    """Names and values, for people to read."""
    cpu = re.search(r"model name\s*: (.+)", Path("/proc/cpuinfo").read_text(encoding="utf-8"))
    memory = re.search(r"MemTotal:\s+(\d+) kB", Path("/proc/meminfo").read_text(encoding="ascii"))
    return {
        "processor": f"{os.cpu_count()} cores of {cpu[1] if cpu else platform.machine()}",
        "memory": f"{int(memory[1]) / 2**20:.0f} GiB" if memory else "unknown",
        "system": f"{platform.system()} {platform.release()}",
        "Python": platform.python_version(),
        **{name: version(name) for name in ("pdp", "fastapi", "uvicorn", "pycasbin", "cedarpy")},
        "Cerbos": fetch_cerbos.VERSION if fetch_cerbos.PROGRAM.exists() else "not here",
        "nginx": said("nginx", "-v"),
        "wrk": said("wrk", "-v"),
        "OPA": said("opa", "version"),
    }


def said(program: str, option: str) -> str:
    """The version that a program tells on its first line."""
    if shutil.which(program) is None:
        return "not here"
    told = subprocess.run([program, option], capture_output=True, text=True, check=False)
    found = re.search(r"\d+(?:\.\d+)+", told.stdout + told.stderr)
    return found[0] if found else "unknown"


def load() -> float:
    """How many processes wanted a core in the last minute; ours are among them."""
    return round(os.getloadavg()[0], 1)
