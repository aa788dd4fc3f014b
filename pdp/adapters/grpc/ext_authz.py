"""Envoy's external authorization over gRPC: `envoy.service.auth.v3.Authorization/Check`.

INVARIANT: every response says its status. A response without one is an *allow* in this protocol, and a call
that ends with an error is whatever Envoy's `failure_mode_allow` makes of it: so there is neither, whatever
happens.
"""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final, TypeAlias, final

from envoy.config.core.v3.base_pb2 import HeaderValueOption
from envoy.service.auth.v3.external_auth_pb2 import CheckResponse
from google.protobuf.struct_pb2 import Struct
from grpc import StatusCode
from grpc.aio import ServicerContext

from pdp.adapters.answering import decided
from pdp.adapters.grpc.callers import Callers
from pdp.adapters.grpc.check_request import profile_named, question_of, read_check
from pdp.adapters.grpc.open_calls import OpenCalls
from pdp.adapters.proxies.profiles import UNNAMED, Profile, profile_for
from pdp.adapters.proxies.verdicts import CHALLENGE, DECISION_ID, ERROR, Verdict, refusal, verdict_of
from pdp.adapters.schemas import AskedByProxy
from pdp.identity.caller import Caller
from pdp.service.authorization import Rights
from pdp.service.decision_service import DecisionService
from pdp.vocabulary import Millis

__all__ = ["AUTHORIZATION", "ExtAuthz", "response"]

#: The name under which Envoy calls us.
AUTHORIZATION: Final = "envoy.service.auth.v3.Authorization"
_Context: TypeAlias = ServicerContext[bytes, bytes]
_OK, _DENIED, _UNAUTHENTICATED = (
    code.value[0] for code in (StatusCode.OK, StatusCode.PERMISSION_DENIED, StatusCode.UNAUTHENTICATED)
)
_OVERWRITE: Final = HeaderValueOption.HeaderAppendAction.OVERWRITE_IF_EXISTS_OR_ADD


@final
class ExtAuthz:
    """Answers Envoy's checks."""

    def __init__(
        self, service: DecisionService, callers: Callers, open_: OpenCalls, profiles: Mapping[str, Profile]
    ) -> None:
        self._service, self._callers, self._open, self._profiles = service, callers, open_, profiles

    async def check(
        self, context: _Context, message: Callable[[_Context], Awaitable[bytes]]
    ) -> CheckResponse:
        """Answer one check.

        Args:
            context: The call.
            message: Gives its message.
        """
        try:
            caller = self._callers.identify(context)
            with self._open.one_of(caller.id):
                verdict = await self._verdict(await message(context), caller)
            self._callers.confirm(caller, context)  # trust may have changed while the question waited
        except Exception as error:  # noqa: BLE001 - whatever it was, it must not become an allow
            verdict = refusal(error)
        return response(verdict)

    async def _verdict(self, data: bytes, caller: Caller) -> Verdict:
        def read(rights: Rights, now: Millis) -> AskedByProxy:
            request = read_check(data)
            name = profile_named(request)
            profile = UNNAMED if name is None else profile_for(self._profiles, name, caller, forwards=True)
            taken_over.update(profile.headers)
            return question_of(request, profile, rights, now)

        taken_over: set[str] = set()
        told = await decided(self._service, caller, read)
        verdict = verdict_of(told.answered, taken_over, sets_others=True, removes_others=True)
        if verdict.code:
            self._service.metrics.question_refused(verdict.code)
        return verdict


def response(verdict: Verdict) -> CheckResponse:
    """What Envoy is told. The one place where a status is set.

    Each part is written where it belongs: parts that are made first are copied, which takes twice as long.
    """
    told = CheckResponse()
    told.status.code = _DENIED  # until all else is there
    _tell(told.dynamic_metadata, verdict)
    if verdict.allowed:
        passed = told.ok_response  # each look at a field is a call
        passed.SetInParent()
        headers = passed.headers
        for name, value in verdict.set:
            _set(headers, name, value)
        passed.headers_to_remove.extend(verdict.unset)
        told.status.code = _OK
        return told
    denied = told.denied_response
    denied.status.code = 401 if verdict.unauthenticated else 403
    for name, value in ((ERROR, verdict.code), (DECISION_ID, verdict.decision_id)):
        if value:
            _set(denied.headers, name, value)
    if verdict.unauthenticated:  # RFC 9110, section 15.5.2: with a challenge
        _set(denied.headers, "www-authenticate", CHALLENGE)
        told.status.code = _UNAUTHENTICATED
    return told


def _set(headers: Any, name: str, value: str) -> None:
    """A header in place of all that a client has sent under its name; said in both ways that Envoy knows."""
    option = headers.add(append_action=_OVERWRITE)
    option.append.SetInParent()  # false
    header = option.header
    header.key, header.value = name, value


def _tell(found: Struct, verdict: Verdict) -> None:
    """What Envoy's access log can tell, below `envoy.filters.http.ext_authz`."""
    found.SetInParent()
    if verdict.code:
        found.update({"error": verdict.code})
    answered = verdict.answered
    if answered is None:
        return
    snapshot, request, decision = answered.published.snapshot, answered.request, answered.decision
    fields = found.fields  # `update` takes three times as long
    fields["decision_id"].string_value = answered.decision_id
    fields["decision"].string_value = decision.effect._value_
    fields["reason"].string_value = decision.reason._value_
    fields["revision"].string_value = snapshot.revision
    fields["principal"].string_value = request.principal.id
    fields["service"].string_value = request.service
    rules = fields["rules"].list_value
    rules.SetInParent()
    for rule in decision.rules:
        rules.values.add().string_value = snapshot.index.rule(request.service, rule).name
