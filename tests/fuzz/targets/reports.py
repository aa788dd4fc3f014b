"""What callers report of reuse: in JSON, and as messages of gRPC."""

import json
import re
from collections.abc import Hashable
from typing import Final

from pdp.adapters.grpc.questions import read_reuse
from pdp.adapters.grpc.v1.decision_pb2 import Reused as ReusedMessage
from pdp.adapters.grpc.v1.decision_pb2 import ReuseReport
from pdp.adapters.reuse import read_reuse_body, take_report
from pdp.adapters.schemas import BadQuestionError
from pdp.adapters.strict_json import BadJsonError
from tests.docs.application import ERRORS, caller, service
from tests.fuzz.engine import Target
from tests.fuzz.mutate import ODD_BYTES, Mutator

__all__ = ["TARGETS"]

_IDS: Final = ["01M7YZMHG02K57QD7K1S9DT5QK", "7ZZZZZZZZZZZZZZZZZZZZZZZZZ", "8ZZZZZZZZZZZZZZZZZZZZZZZZZ", ""]
_SEEDS: Final = tuple(
    json.dumps({"reused": [{"decision_id": name, "times": times} for name in _IDS[: 1 + at % 4]]}).encode()
    for at, times in enumerate([1, 3, 0, -1, 1_000_000_000, 1_000_000_001, 2**63])
)
_SERVICE: Final = service(ERRORS)


def _report(body: bytes) -> Hashable:
    """Refused by name, or counted as a second reader counts it; over gRPC the very same."""
    before = _SERVICE.metrics.counts().reused
    try:
        take_report(_SERVICE, caller(), lambda: read_reuse_body(body))
    except (BadJsonError, BadQuestionError) as error:
        assert _SERVICE.metrics.counts().reused == before, "half of it was taken"
        return error.code
    items = json.loads(body)["reused"]
    assert all(re.fullmatch(r"[0-7][0-9A-HJKMNP-TV-Z]{25}", item["decision_id"]) for item in items)
    assert all(1 <= item["times"] <= 10**9 and set(item) == {"decision_id", "times"} for item in items)
    assert _SERVICE.metrics.counts().reused - before == sum(item["times"] for item in items)
    message = ReuseReport(reused=[ReusedMessage(**item) for item in items])
    assert [(item.decision_id, item.times) for item in read_reuse(message.SerializeToString())] == [
        (item["decision_id"], item["times"]) for item in items
    ]
    return min(len(items), 3)


TARGETS: Final = (
    Target(
        name="reports",
        seeds=_SEEDS,
        mutate=Mutator(_SEEDS, rb'"[^"\n]*"|[\w.+-]+|[{}\[\],:]', ODD_BYTES, largest=150_000),
        check=_report,
        examples=2000,
    ),
)
