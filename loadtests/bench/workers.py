"""The service in several processes: memory of each and of all, and how long an edit takes to be seen.

.venv/bin/python loadtests/bench/workers.py [--shape path | --files 1000] [--rules 100000] [--kept] [--json]

Memory is the proportional set size: a page that several processes share counts once in the sum. It is read
after each worker has answered some thousand questions, while nothing else is asked.
"""

import argparse
import http.client
import json
import re
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from statistics import median

from pdp.cli.bench_shapes import SHAPES

CALLER = "spiffe://prod.example.org/ns/bench/sa/pep"
WHO = "caller prod/ns/bench/sa/pep fronts any service may assert any principal of prod\n"
QUESTIONS = 10_000
CONNECTIONS = 8
EDITS = 9
PIECE = 10_000  # lines of a table


class Unix(http.client.HTTPConnection):
    """Keeps one connection to a Unix socket."""

    def __init__(self, path: str) -> None:
        super().__init__("localhost", timeout=600)
        self._path = path

    def connect(self) -> None:
        """Connect to the socket."""
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)

    def ask(self, principal: str, service: str, method: str, path: str) -> str:
        """The decision."""
        body = {"principal": principal, "service": service, "method": method, "path": path}
        headers = {"content-type": "application/json"}
        self.request("POST", "/v1/decide", json.dumps(body), headers)
        reply = json.loads(self.getresponse().read())
        return str(reply.get("decision", reply))


def many_files(files: int, rules: int) -> dict[str, str]:
    """The set of `reload.py`: so many files, a service each, and as many rules in all."""
    texts = {"a.policy": 'language 1\ntrust domain prod = "prod.example.org"\n'}
    for file in range(files):
        texts[f"d{file % 40}/f{file}.policy"] = edited(file, rules // files, 0)
    return texts


def in_pieces(texts: Mapping[str, str]) -> dict[str, str]:
    """A shape whose table is larger than a file of a policy set may be, as several."""
    table = texts.get("grants.csv")
    if table is None:
        return dict(texts)
    head, *lines = table.splitlines(keepends=True)
    pieces = [lines[at : at + PIECE] for at in range(0, len(lines), PIECE)]
    named = {f"grants{n}.csv": head + "".join(piece) for n, piece in enumerate(pieces)}
    grants = "".join(f'    allow from "{name}"\n' for name in named)
    return {"bench.policy": texts["bench.policy"].replace('    allow from "grants.csv"\n', grants), **named}


def edited(file: int, rules: int, edit: int) -> str:
    """One of its files, after so many edits."""
    lines = [
        f"    allow prod/ns/n{file}/sa/w{rule} to GET /v1/r{rule}/{{id}}, POST /v1/r{rule}\n"
        for rule in range(rules)
    ]
    lines.append(f"    allow prod/ns/n{file}/sa/edited to GET /edited/{edit}\n")
    return f"language 1\nservice s{file} {{\n{''.join(lines)}}}\n"


def proportional(pid: int) -> dict[str, int]:
    """Megabytes of a process: its share, and of that what nobody else has."""
    text = Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="ascii")
    found = dict(re.findall(r"^(Pss|Private_Clean|Private_Dirty):\s+(\d+) kB", text, re.MULTILINE))
    private = int(found["Private_Clean"]) + int(found["Private_Dirty"])
    return {"pss": int(found["Pss"]) * 1024, "private": private * 1024}


def main() -> None:
    """Measure, and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--shape", choices=SHAPES)
    parser.add_argument("--files", type=int, default=1000)
    parser.add_argument("--rules", type=int, default=100_000)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--kept", action="store_true", help="start from the compiled form that was kept")
    parser.add_argument(
        "--changed", type=int, default=0, help="so many files change between `--kept` and the start"
    )
    parser.add_argument("--option", action="append", default=[], help="one more option of `pdp serve`")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    texts = (
        SHAPES[options.shape].files(options.rules)
        if options.shape
        else many_files(options.files, options.rules)
    )
    with tempfile.TemporaryDirectory(prefix="pdp-") as folder:
        figures = measure(Path(folder), texts, options)
    shown = json.dumps(figures) if options.json else "\n".join(f"{k:24} {v}" for k, v in figures.items())
    sys.stdout.write(shown + "\n")


def measure(folder: Path, texts: Mapping[str, str], options: argparse.Namespace) -> dict[str, object]:
    """Run the service on these files."""
    policies = folder / "policies"
    for name, text in {**in_pieces(texts), "callers.policy": f"language 1\n{WHO}"}.items():
        path = policies / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    settings = folder / "pdp.toml"
    settings.write_text(
        f'[policies]\npath = "{policies}"\n[http]\nlisten = "unix:{folder}/s/pdp.sock"\nplaintext = true\n'
        f'[local]\ncaller = "{CALLER}"\n[process]\nworkers = {options.workers}\n',
        encoding="utf-8",
    )
    if options.kept:
        keep(folder, settings)
        for file in range(options.changed):
            text = edited(file, options.rules // options.files, EDITS + 1)
            (policies / f"d{file % 40}" / f"f{file}.policy").write_text(text, encoding="utf-8")
    began = time.perf_counter()
    service = subprocess.Popen(
        [sys.executable, "-m", "pdp.cli.main", "serve", "--config", str(settings), "--json", *options.option],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip
    try:
        wait_until_serving(service)
        figures: dict[str, object] = {
            "rules": options.rules,
            "start_seconds": round(time.perf_counter() - began, 2),
        }
        connections = [Unix(f"{folder}/s/pdp.sock") for _ in range(CONNECTIONS)]
        if options.shape:
            questions = list(SHAPES[options.shape].questions(options.rules, QUESTIONS, seed=1))
            ask_all(connections, questions)
            figures |= memory(service.pid, options.rules)
        else:
            questions = [
                (
                    f"spiffe://prod.example.org/ns/n{n % options.files}/sa/w1",
                    f"s{n % options.files}",
                    "GET",
                    "/v1/r1/x",
                )
                for n in range(QUESTIONS)
            ]
            ask_all(connections, questions)
            figures |= memory(service.pid, options.rules)
            figures |= edits(policies, connections, options.rules // options.files)
            figures |= {f"then_{name}": value for name, value in memory(service.pid, options.rules).items()}
    finally:
        service.terminate()
        service.wait(60)
    return figures


def keep(folder: Path, settings: Path) -> None:
    """Have the service keep its compiled form, once."""
    text = settings.read_text(encoding="utf-8")
    settings.write_text(
        text.replace("[policies]\n", f'[policies]\ncompiled = "{folder}/kept"\n'), encoding="utf-8"
    )
    service = subprocess.Popen(
        [sys.executable, "-m", "pdp.cli.main", "serve", "--config", str(settings), "--json"],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip
    wait_until_serving(service)
    while not (folder / "kept" / "compiled.image").exists():
        time.sleep(0.1)
    service.terminate()
    service.wait(60)


def wait_until_serving(service: "subprocess.Popen[str]") -> None:
    """Until questions are answered."""
    assert service.stdout is not None
    for line in service.stdout:
        if '"event": "serving"' in line:
            return
        sys.stderr.write(line)
    raise SystemExit("the service did not start")


def ask_all(connections: list[Unix], questions: list[tuple[str, str, str, str]]) -> None:
    """Ask by turns."""
    decisions = {connections[n % len(connections)].ask(*question) for n, question in enumerate(questions)}
    assert "allow" in decisions, decisions


def memory(supervisor: int, rules: int) -> dict[str, object]:
    """Bytes a rule, of each process and of all: workers, and the process that they were forked from."""
    servers = children_of(supervisor)
    workers = [proportional(pid) for server in servers for pid in children_of(server)]
    own = proportional(supervisor)["pss"]
    shared = sum(proportional(pid)["pss"] for pid in servers)
    answering = shared + sum(worker["pss"] for worker in workers)
    return {
        "supervisor_mb": own >> 20,
        "fork_server_mb": shared >> 20,
        "worker_mb": [worker["pss"] >> 20 for worker in workers],
        "worker_private_mb": [worker["private"] >> 20 for worker in workers],
        "bytes_a_rule_all": (own + answering) // rules,
        "bytes_a_rule_workers": answering // rules,
    }


def children_of(pid: int) -> list[int]:
    """Processes that a process has begun."""
    return [
        int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii").split()
    ]


def edits(policies: Path, connections: list[Unix], rules: int) -> dict[str, object]:
    """How long after a file is written its new rule is what the service answers by."""
    times = []
    for edit in range(1, EDITS + 1):
        path = policies / "d7" / "f7.policy"
        beside = path.with_suffix(".new")
        beside.write_text(edited(7, rules, edit), encoding="utf-8")
        time.sleep(1)
        began = time.perf_counter()
        beside.rename(path)
        question = ("spiffe://prod.example.org/ns/n7/sa/edited", "s7", "GET", f"/edited/{edit}")
        while connections[edit % len(connections)].ask(*question) != "allow":
            time.sleep(0.001)
        times.append((time.perf_counter() - began) * 1000)
    return {"visible_ms": round(median(times), 1), "visible_ms_max": round(max(times), 1)}


if __name__ == "__main__":
    main()
