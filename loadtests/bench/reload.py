"""Change one file among 1 000 files of 100 rules: how long until the new version can be served.

.venv/bin/python loadtests/bench/reload.py [--files 1000] [--rules 100] [--json]
"""

import argparse
import json
import time
from statistics import median

from pdp.store.bundle import make_bundle
from pdp.store.loader import Loader

NOW = 1_767_225_600_000
ROUNDS = 9


def policy(file: int, rules: int, edit: int) -> bytes:
    lines = [
        f"    allow prod/ns/n{file}/sa/w{rule} to GET /v1/r{rule}/{{id}}, POST /v1/r{rule}"
        for rule in range(rules)
    ]
    lines.append(f"    allow prod/ns/n{file}/sa/edited to GET /edited/{edit}")
    return ("language 1\n" + f"service s{file} {{\n" + "\n".join(lines) + "\n}\n").encode()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--files", type=int, default=1000)
    parser.add_argument("--rules", type=int, default=100)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    files = {f"d{n % 40}/f{n}.policy": policy(n, options.rules, 0) for n in range(options.files)}
    files["a.policy"] = b'language 1\ntrust domain prod = "prod.example.org"\n'
    loader = Loader()
    began = time.perf_counter()
    assert loader.load(make_bundle(files), now=NOW).snapshot is not None
    start = time.perf_counter() - began
    times = []
    for edit in range(1, ROUNDS + 1):
        files = {**files, "d7/f7.policy": policy(7, options.rules, edit)}
        bundle = make_bundle(files)
        began = time.perf_counter()
        assert loader.load(bundle, now=NOW).snapshot is not None
        times.append(time.perf_counter() - began)
    figures = {
        "files": options.files,
        "rules": options.files * options.rules,
        "start_seconds": round(start, 2),
        "reload_ms": round(median(times) * 1000, 1),
        "reload_ms_max": round(max(times) * 1000, 1),
    }
    print(
        json.dumps(figures)
        if options.json
        else "\n".join(f"{key:15} {value}" for key, value in figures.items())
    )


if __name__ == "__main__":
    main()
