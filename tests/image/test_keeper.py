"""What is made of an image is bounded, and made again when it was dropped."""

import gc

from pdp.engine.decide import decide
from pdp.image.states import States
from pdp.index.cells import State
from tests.engine.asking import ask, snapshot_of
from tests.image.flat import Press

SERVICES, PATHS, MOST = 20, 60, 100


def states() -> int:
    gc.collect()
    return sum(type(each) is State for each in gc.get_objects())


def test_no_more_is_kept_than_the_bound() -> None:
    rules = "".join(
        f"service s{s} {{\n"
        + "".join(f"allow prod/a to GET /x{p}/*/y, POST /x{p}/z/y\n" for p in range(PATHS))
        + "}\n"
        for s in range(SERVICES)
    )
    press = Press(MOST)
    snapshot = snapshot_of(rules)
    flat = press.read(press.write(snapshot.index)).index
    most = 0
    del snapshot
    press.writer = None  # type: ignore[assignment] - it holds what was built
    before = states()

    for s in range(SERVICES):
        for p in range(PATHS):
            request = ask(f"prod/a GET /x{p}/q/y", service=f"s{s}")
            assert decide(flat, request).effect.value == "allow"
        most = max(most, states() - before)

    assert 0 < most <= MOST
    assert isinstance(flat.services["s0"].root, State)
    assert States is not None
