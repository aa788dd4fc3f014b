"""Where our part of one call over gRPC goes: reading, deciding, writing, without the server around it.

.venv/bin/python -m loadtests.bench.grpc_parts

In this process, over the policy and the messages of `grpc_calls.py`. Processor time, the best of 25 rounds:
what other work adds to a round says nothing.
"""

import tempfile
import time
import timeit
from collections.abc import Callable
from pathlib import Path

from loadtests.bench.grpc_calls import HEADERS, POLICY
from pdp.adapters.answering import decided, told
from pdp.adapters.begun import Begun
from pdp.adapters.grpc.answers import answer_message
from pdp.adapters.grpc.check_request import question_of, read_check
from pdp.adapters.grpc.ext_authz import response
from pdp.adapters.grpc.message_form import message_answers
from pdp.adapters.grpc.questions import read_question
from pdp.adapters.proxies.lines import attributes_of
from pdp.adapters.proxies.profiles import UNNAMED
from pdp.adapters.proxies.verdicts import verdict_of
from pdp.adapters.schemas import to_request
from pdp.service.decision_service import DecisionService
from pdp.store.bundle import read_bundle
from pdp.store.loader import Loader
from pdp.store.publish import Publisher
from pdp.vocabulary import Effect, Millis
from tests.docs.application import caller
from tests.e2e.grpc_calls import to_question
from tests.e2e.proxy_calls import PROXY, Asked, check_request
from tests.e2e.running import PEP, WEB, make_policies, question

ROUNDS, TIMES = 25, 500


def now() -> Millis:
    """The wall clock."""
    return time.time_ns() // 1_000_000


def made() -> DecisionService:
    """A service over the policy that calls are measured with."""
    with tempfile.TemporaryDirectory() as folder:
        bundle = read_bundle(make_policies(Path(folder) / "set", POLICY))
    loader = Loader()
    snapshot = loader.load(bundle, now=now()).snapshot
    assert snapshot is not None
    return DecisionService(Publisher(loader, snapshot, on_event=lambda _: None, now=now()), clock=now)


def of_decide(service: DecisionService) -> dict[str, Callable[[], object]]:
    """The parts of a call of `Decide`."""
    pep = caller(PEP, now() + 10**9)
    data = to_question(question()).SerializeToString()
    remembering, forgetful = (message_answers(service, most) for most in (100, 0))
    about = Begun(decided(service, pep, lambda *_: read_question(data))).result
    assert about is not None
    for _ in range(2):  # it is remembered from the second time on
        assert Begun(remembering.answer(pep, data)).result is not None
    assert remembering.again(pep, data) is not None
    return {
        "Decide, anew": lambda: Begun(forgetful.answer(pep, data)),
        "of that reading": lambda: read_question(data),
        "of that the answer's text": lambda: answer_message(told(about)).SerializeToString(),
        "Decide, remembered": lambda: remembering.again(pep, data),
    }


def of_check(service: DecisionService) -> dict[str, Callable[[], object]]:
    """The parts of a call of `Check`."""
    proxy, published = caller(PROXY, now() + 10**9), service.versions.current
    index, rights = published.snapshot.index, service.rights(proxy, published, now())
    data = check_request(Asked(path="/v1/items/7", principal=WEB, headers=HEADERS)).SerializeToString()
    asked = question_of(read_check(data), UNNAMED, rights, now())
    request = to_request(asked, index, frozenset(), now())
    answered = service.answer(proxy, published, now(), request, seen=asked.seen)
    assert answered.decision.effect is Effect.ALLOW
    verdict = verdict_of(answered, set(), sets_others=True, removes_others=True)
    lines = [(name.encode(), value.encode()) for name, value in HEADERS]
    return {
        "Check: the message to a question": lambda: question_of(read_check(data), UNNAMED, rights, now()),
        "of that headers to attributes": lambda: attributes_of(lines, ()),
        "Check: the question to a request": lambda: to_request(asked, index, frozenset(), now()),
        "Check: the decision": lambda: service.answer(proxy, published, now(), request, seen=asked.seen),
        "Check: the verdict to a message": lambda: response(verdict).SerializeToString(),
    }


def main() -> None:
    """Measure, and print."""
    service = made()
    print("| part | us |\n|---|---|")
    for name, part in {**of_decide(service), **of_check(service)}.items():
        rounds = timeit.repeat(part, timer=time.process_time, number=TIMES, repeat=ROUNDS)
        print(f"| {name} | {min(rounds) / TIMES * 1e6:.1f} |")


if __name__ == "__main__":
    main()
