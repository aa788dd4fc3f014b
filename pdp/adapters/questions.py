"""What answers a question over HTTP, whichever way its request takes to get here.

The routes of `pdp.adapters.app` and the short way of `pdp.adapters.direct` run the same coroutines, and each
of them ends with a reply, whatever happens. What a proxy asks is in `pdp.adapters.proxies`.
"""

from collections.abc import Callable, Coroutine, Mapping, Sequence
from typing import Any, Final, NamedTuple, TypeAlias, final

from pdp.adapters.json_answers import json_answers
from pdp.adapters.proxies.forward_auth import ForwardAuth
from pdp.adapters.proxies.places import is_of_proxy
from pdp.adapters.proxies.profiles import NO_PROFILES, Profile
from pdp.adapters.replies import Head, Reply, StatusError, failed, json_reply
from pdp.identity.caller import Caller
from pdp.limits import DEFAULT_REMEMBERED_ANSWERS, MAX_BODY_BYTES
from pdp.service.decision_service import DecisionService

__all__ = ["DECIDE", "Answerer", "Questions", "require_json", "too_large"]

#: Where one question is asked in JSON.
DECIDE: Final = ("/v1/decide", "/decide")
_DECIDE: Final = frozenset(path.encode("ascii") for path in DECIDE)
_JSON: Final = b"application/json"

#: Answers a request whose body is here, for a caller that is asked for under the trust of the moment.
_Answering: TypeAlias = Callable[[Head, bytes, Callable[[], Caller]], Coroutine[Any, Any, Reply]]


class Answerer(NamedTuple):
    """What answers a request that is here whole.

    Attributes:
        answer: Answers it; never raises.
        again: Answers it if it is remembered; None if it is not.
    """

    answer: _Answering
    again: Callable[[bytes, Caller], Reply | None] | None = None


@final
class Questions:
    """Answers questions in JSON, and those of proxies."""

    def __init__(
        self,
        service: DecisionService,
        profiles: Mapping[str, Profile] = NO_PROFILES,
        remembered: int = DEFAULT_REMEMBERED_ANSWERS,
    ) -> None:
        """Answer by a service.

        Args:
            service: Who decides.
            profiles: How proxies ask.
            remembered: How many answers in JSON are remembered at most.
        """
        self._json = json_answers(service, remembered)
        self._proxies = ForwardAuth(service, profiles)
        self._decide = Answerer(self._decide_anew, self.again)
        self._proxied = Answerer(self.proxied)

    def again(self, body: bytes, caller: Caller) -> Reply | None:
        """Answer one question in JSON that is remembered; None if it is not, or there is more to it now."""
        try:
            answered = self._json.again(caller, body)
        except Exception as error:  # noqa: BLE001 - whatever it was, it must not become a decision
            return failed(error)
        return None if answered is None else json_reply(answered)

    async def decide(self, head: Head, body: bytes, caller: Callable[[], Caller]) -> Reply:
        """Answer one question in JSON."""
        try:
            answered = self.again(body, caller())
        except StatusError as error:
            return failed(error)
        return answered or await self._decide_anew(head, body, caller)

    async def _decide_anew(self, _: Head, body: bytes, caller: Callable[[], Caller]) -> Reply:
        try:
            answered = await self._json.answer(caller(), body)
            caller()  # trust may have changed while the question waited
        except BaseException as error:  # noqa: BLE001 - whatever it was, it must not become a decision
            return failed(error)
        return json_reply(answered)

    async def proxied(self, head: Head, _: bytes, caller: Callable[[], Caller]) -> Reply:
        """Answer one question of a proxy, in its own protocol."""
        return await self._proxies.answer(head, caller)

    def answerer(self, head: Head) -> Answerer | None:
        """What answers a request as soon as it is here whole; None where it has to take the long way."""
        if head.target in _DECIDE and head.method == "POST":
            return self._decide if _is_plain_json(head.headers) else None
        if is_of_proxy(head.target):
            return self._proxied if _is_without_body(head.headers) else None
        return None


def require_json(headers: Sequence[tuple[bytes, bytes]], most: int) -> None:
    """Check what a request says of its body: that it is JSON, as it is, and not too long.

    Raises:
        StatusError: It is not.
    """
    found = dict(reversed(headers))  # of a name that is there twice the first
    if found.get(b"content-type", b"").partition(b";")[0].strip().lower() != _JSON:
        raise StatusError(415, "unsupported_media_type", "the body is `application/json`")
    if b"content-encoding" in found:
        raise StatusError(415, "unsupported_encoding", "the body is not compressed")
    if not _is_at_most(found.get(b"content-length", b"0"), most):
        raise too_large(most)


def too_large(most: int) -> StatusError:
    """What is said of a body that is longer."""
    return StatusError(413, "body_too_large", f"the body has at most {most} bytes")


def _is_plain_json(headers: Sequence[tuple[bytes, bytes]]) -> bool:
    """Whether a request brings JSON of a length that it states, with no header twice and no other wish."""
    found = dict(headers)
    return (
        len(found) == len(headers)
        and found.get(b"content-type") == _JSON
        and _is_at_most(found.get(b"content-length", b""), MAX_BODY_BYTES)
        and _ELSEWHERE.isdisjoint(found)
    )


def _is_at_most(stated: bytes, most: int) -> bool:
    """Whether a length is stated and within a bound; of thousands of digits `int` makes no number."""
    return len(stated) <= _MAX_LENGTH_DIGITS and stated.isdigit() and int(stated) <= most


def _is_without_body(headers: Sequence[tuple[bytes, bytes]]) -> bool:
    """Whether a request ends with its head, and asks for nothing else."""
    return not any(
        name in _ELSEWHERE or (name == b"content-length" and value != b"0") for name, value in headers
    )


#: Leading zeros among them; as many as llhttp's own counter has.
_MAX_LENGTH_DIGITS: Final = 20
#: Headers that ask for something: of requests with any of them the long way takes care.
_ELSEWHERE: Final = frozenset({b"content-encoding", b"expect", b"transfer-encoding", b"upgrade"})
