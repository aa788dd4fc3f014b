"""Proxies that ask over HTTP: nginx, Traefik, Caddy and their like, and Envoy in its HTTP mode.

INVARIANT: an answer is 200, 401 or 403. 200 is an allow, exactly; of other successes proxies think
differently, and a 5xx is an error to them, which their configuration may let through.
"""

import asyncio
from collections.abc import Callable, Mapping
from typing import Final, final

from pdp.adapters.answering import decided
from pdp.adapters.proxies.places import EXT_AUTHZ, FORWARD_AUTH
from pdp.adapters.proxies.profiles import Profile, profile_for
from pdp.adapters.proxies.questions import Received, question_of
from pdp.adapters.proxies.verdicts import CHALLENGE, DECISION_ID, ERROR, Verdict, refusal, verdict_of
from pdp.adapters.replies import Head, Reply, StatusError, failed
from pdp.adapters.schemas import AskedByProxy
from pdp.identity.caller import Caller
from pdp.service.authorization import Rights
from pdp.service.decision_service import DecisionService
from pdp.service.errors import CannotAnswerError, NotPermittedError
from pdp.vocabulary import Millis

__all__ = ["ForwardAuth"]

_REMOVED: Final = "x-envoy-auth-headers-to-remove"


@final
class ForwardAuth:
    """Answers proxies, each by a profile that its caller may use."""

    def __init__(self, service: DecisionService, profiles: Mapping[str, Profile]) -> None:
        self._service, self._profiles = service, profiles

    async def answer(self, head: Head, caller: Callable[[], Caller]) -> Reply:
        """Answer a proxy's request.

        Args:
            head: The request.
            caller: Gives its caller, under the trust of the moment; StatusError where there is none any more.
        """
        try:
            _require_no_upgrade(head)
            verdict = await self._verdict(head, caller())
        except asyncio.CancelledError:
            verdict = refusal(CannotAnswerError("ending", "the decision point ends"))
        except Exception as error:  # noqa: BLE001 - whatever it was, it must not become a decision
            verdict = refusal(error)
        try:
            caller()  # trust may have changed while the question waited
        except StatusError as error:
            return failed(error)
        return _reply(verdict, envoy=head.target.startswith(EXT_AUTHZ))

    async def _verdict(self, head: Head, caller: Caller) -> Verdict:
        forwards = head.target.startswith(EXT_AUTHZ)
        name, rest = _parted(head.target, forwards=forwards)
        received = Received(head.method, rest, head.headers)
        taken_over: set[str] = set()

        def read(rights: Rights, _: Millis) -> AskedByProxy:
            profile = profile_for(self._profiles, name, caller, forwards=forwards)
            taken_over.update(profile.headers)
            return question_of(received, profile, rights)

        told = await decided(self._service, caller, read)
        verdict = verdict_of(told.answered, taken_over, removes_others=forwards)
        if verdict.code:
            self._service.metrics.question_refused(verdict.code)
        return verdict


def _parted(target: bytes, *, forwards: bool) -> tuple[str, str]:
    """The profile's name, and the target behind it: that of the client, slash included."""
    rest = target.removeprefix(EXT_AUTHZ if forwards else FORWARD_AUTH).decode("latin-1")
    if forwards:
        name, slash, behind = rest.partition("/")
        return name, slash + behind
    return rest.partition("?")[0], ""


def _require_no_upgrade(head: Head) -> None:
    """Refuse a request after which the parser takes what follows for another protocol."""
    asks = any(name == b"connection" and b"upgrade" in value.lower() for name, value in head.headers)
    if asks and any(name == b"upgrade" for name, _ in head.headers):
        raise NotPermittedError("upgrade_refused", "no other protocol is spoken here")


def _reply(verdict: Verdict, *, envoy: bool) -> Reply:
    if verdict.allowed:
        told = verdict.headers
        if envoy:  # takes over what is there; what is empty or not there it has to be told to remove
            removed = ((_REMOVED, ", ".join(verdict.unset)),) if verdict.unset else ()
            told = (*verdict.set, *removed)
        return Reply(200, tuple(told))
    headers = [(ERROR, verdict.code)] if verdict.code else []
    if verdict.decision_id:
        headers.append((DECISION_ID, verdict.decision_id))
    if verdict.unauthenticated:  # RFC 9110, section 15.5.2: with a challenge
        return Reply(401, (*headers, ("www-authenticate", CHALLENGE)))
    # After an upgrade what follows is not read as a request.
    return Reply(403, tuple(headers), close=verdict.code == "upgrade_refused")
