"""The application while trust changes: who asks is looked at with the question and before the answer."""

import json

import pytest

from pdp.identity.refusal import Refusal, UntrustedCertificateError
from tests.docs.application import ASKED, ERRORS, caller, post, service

GONE = UntrustedCertificateError(Refusal.UNTRUSTED_CHAIN, "the chain does not lead to a root")


class Asked:
    """Who is a caller so many times that somebody asks, and then none any more."""

    def __init__(self, times: int) -> None:
        self.times = times
        self.asked = 0

    def __call__(self) -> object:
        self.asked += 1
        return caller() if self.asked <= self.times else GONE


@pytest.mark.parametrize(
    ("path", "body"),
    [("/v1/decide", ASKED), ("/v1/decide/batch", {"questions": [ASKED]})],
    ids=["one", "a batch"],
)
def test_no_answer_is_given_to_who_is_no_caller_any_more(path: str, body: dict[str, object]) -> None:
    to = service(ERRORS)
    data = json.dumps(body).encode()
    always = Asked(1_000)

    answered = post(to, data, path=path, who=always)
    refused = [post(to, data, path=path, who=Asked(times)) for times in range(always.asked)]

    assert answered.status_code == 200
    assert always.asked >= 3  # at the door, for the question, before the answer
    for reply in refused:
        assert (reply.status_code, reply.json()["error"]["code"]) == (403, "caller_untrusted")
        assert b"decision" not in reply.content.replace(b"decision point", b"")
