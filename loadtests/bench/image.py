"""Decisions from the index as it is built and from an image of it, by turns; what writing and mapping cost.

.venv/bin/python loadtests/bench/image.py [--rules 100000] [--shape path]
"""

import argparse
import gc
import sys
import time
from collections.abc import Mapping
from statistics import median

from pdp.cli.bench_shapes import SHAPES
from pdp.engine.decide import decide
from pdp.index.rule_index import RuleIndex
from pdp.principals import spiffe_principal
from pdp.process.images import ImageShelf, Unpacker
from pdp.store.bundle import make_bundle
from pdp.store.loader import Loader
from pdp.store.snapshot import Snapshot
from pdp.vocabulary import FAMILIES, Request

NOW = 1_767_225_600_000
QUESTIONS, ROUNDS = 10_000, 5


def main() -> None:
    """Measure, and print a line for each shape."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rules", type=int, default=100_000)
    parser.add_argument("--shape", choices=SHAPES, action="append")
    options = parser.parse_args()
    sys.stdout.write(
        "shape           built  image  ratio  p99 built  p99 image  write ms  map ms  bytes/rule\n"
    )
    for name in options.shape or SHAPES:
        snapshot = load(SHAPES[name].files(options.rules))
        began = time.process_time()
        parcel = ImageShelf().pack(snapshot)
        written = time.process_time()
        size = sum(file_size(file) for file in parcel.files)
        image = Unpacker().unpack(parcel.files).index
        mapped = time.process_time()
        questions = [
            Request(
                principal=spiffe_principal(principal), service=service, method=method, path=path, now=NOW,
                supplied=FAMILIES,
            )
            for principal, service, method, path in SHAPES[name].questions(options.rules, QUESTIONS, seed=1)
        ]  # fmt: skip
        gc.collect()
        gc.freeze()
        rounds = [(times(snapshot.index, questions), times(image, questions)) for _ in range(ROUNDS + 1)][1:]
        half, half_image = (median(each[at][0] for each in rounds) for at in (0, 1))
        p99, p99_image = (median(each[at][1] for each in rounds) for at in (0, 1))
        sys.stdout.write(
            f"{name:14} {half:6.2f} {half_image:6.2f} {half_image / half:6.2f} {p99:10.2f} {p99_image:10.2f}"
            f" {(written - began) * 1000:9.0f} {(mapped - written) * 1000:7.0f} {size // options.rules:11}\n"
        )
        sys.stdout.flush()


def load(texts: Mapping[str, str]) -> Snapshot:
    """The compiled form of these files."""
    loaded = Loader().load(make_bundle({path: text.encode() for path, text in texts.items()}), now=NOW)
    assert loaded.snapshot is not None
    return loaded.snapshot


def file_size(descriptor: int) -> int:
    """Bytes of an open file."""
    with open(descriptor, "rb", closefd=False) as file:
        return file.seek(0, 2)


def times(index: RuleIndex, questions: list[Request]) -> tuple[float, float]:
    """Median and 99th percentile in microseconds."""
    clock, found = time.perf_counter_ns, []
    for question in questions:
        began = clock()
        decide(index, question)
        found.append(clock() - began)
    found.sort()
    return found[len(found) // 2] / 1000, found[len(found) * 99 // 100] / 1000


if __name__ == "__main__":
    main()
