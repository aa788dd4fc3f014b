import datetime

from google.protobuf import timestamp_pb2 as _timestamp_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Decision(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    DECISION_UNSPECIFIED: _ClassVar[Decision]
    DECISION_ALLOW: _ClassVar[Decision]
    DECISION_DENY: _ClassVar[Decision]

class Reason(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    REASON_UNSPECIFIED: _ClassVar[Reason]
    REASON_ALLOWED: _ClassVar[Reason]
    REASON_OBSERVED: _ClassVar[Reason]
    REASON_DENIED_BY_RULE: _ClassVar[Reason]
    REASON_NO_RULE_MATCHED: _ClassVar[Reason]
    REASON_AMBIGUOUS_PATH: _ClassVar[Reason]
    REASON_AMBIGUOUS_METHOD: _ClassVar[Reason]
    REASON_UNKNOWN_SERVICE: _ClassVar[Reason]
    REASON_STALE: _ClassVar[Reason]
    REASON_QUARANTINED: _ClassVar[Reason]

class Reuse(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    REUSE_UNSPECIFIED: _ClassVar[Reuse]
    REUSE_NO: _ClassVar[Reuse]
    REUSE_COUNTED: _ClassVar[Reuse]
DECISION_UNSPECIFIED: Decision
DECISION_ALLOW: Decision
DECISION_DENY: Decision
REASON_UNSPECIFIED: Reason
REASON_ALLOWED: Reason
REASON_OBSERVED: Reason
REASON_DENIED_BY_RULE: Reason
REASON_NO_RULE_MATCHED: Reason
REASON_AMBIGUOUS_PATH: Reason
REASON_AMBIGUOUS_METHOD: Reason
REASON_UNKNOWN_SERVICE: Reason
REASON_STALE: Reason
REASON_QUARANTINED: Reason
REUSE_UNSPECIFIED: Reuse
REUSE_NO: Reuse
REUSE_COUNTED: Reuse

class Question(_message.Message):
    __slots__ = ("principal", "method", "path", "service", "host", "user", "context", "at_least", "explain")
    PRINCIPAL_FIELD_NUMBER: _ClassVar[int]
    METHOD_FIELD_NUMBER: _ClassVar[int]
    PATH_FIELD_NUMBER: _ClassVar[int]
    SERVICE_FIELD_NUMBER: _ClassVar[int]
    HOST_FIELD_NUMBER: _ClassVar[int]
    USER_FIELD_NUMBER: _ClassVar[int]
    CONTEXT_FIELD_NUMBER: _ClassVar[int]
    AT_LEAST_FIELD_NUMBER: _ClassVar[int]
    EXPLAIN_FIELD_NUMBER: _ClassVar[int]
    principal: Principal
    method: str
    path: str
    service: str
    host: str
    user: User
    context: _containers.RepeatedCompositeFieldContainer[Attribute]
    at_least: str
    explain: bool
    def __init__(self, principal: _Optional[_Union[Principal, _Mapping]] = ..., method: _Optional[str] = ..., path: _Optional[str] = ..., service: _Optional[str] = ..., host: _Optional[str] = ..., user: _Optional[_Union[User, _Mapping]] = ..., context: _Optional[_Iterable[_Union[Attribute, _Mapping]]] = ..., at_least: _Optional[str] = ..., explain: _Optional[bool] = ...) -> None: ...

class Principal(_message.Message):
    __slots__ = ("spiffe", "dns", "jwt", "anonymous", "certificate", "forwarded")
    SPIFFE_FIELD_NUMBER: _ClassVar[int]
    DNS_FIELD_NUMBER: _ClassVar[int]
    JWT_FIELD_NUMBER: _ClassVar[int]
    ANONYMOUS_FIELD_NUMBER: _ClassVar[int]
    CERTIFICATE_FIELD_NUMBER: _ClassVar[int]
    FORWARDED_FIELD_NUMBER: _ClassVar[int]
    spiffe: str
    dns: str
    jwt: str
    anonymous: bool
    certificate: str
    forwarded: Forwarded
    def __init__(self, spiffe: _Optional[str] = ..., dns: _Optional[str] = ..., jwt: _Optional[str] = ..., anonymous: _Optional[bool] = ..., certificate: _Optional[str] = ..., forwarded: _Optional[_Union[Forwarded, _Mapping]] = ...) -> None: ...

class Forwarded(_message.Message):
    __slots__ = ("form", "headers")
    FORM_FIELD_NUMBER: _ClassVar[int]
    HEADERS_FIELD_NUMBER: _ClassVar[int]
    form: str
    headers: _containers.RepeatedCompositeFieldContainer[HeaderLine]
    def __init__(self, form: _Optional[str] = ..., headers: _Optional[_Iterable[_Union[HeaderLine, _Mapping]]] = ...) -> None: ...

class HeaderLine(_message.Message):
    __slots__ = ("name", "value")
    NAME_FIELD_NUMBER: _ClassVar[int]
    VALUE_FIELD_NUMBER: _ClassVar[int]
    name: str
    value: str
    def __init__(self, name: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...

class User(_message.Message):
    __slots__ = ("issuer", "subject", "groups", "jwt")
    ISSUER_FIELD_NUMBER: _ClassVar[int]
    SUBJECT_FIELD_NUMBER: _ClassVar[int]
    GROUPS_FIELD_NUMBER: _ClassVar[int]
    JWT_FIELD_NUMBER: _ClassVar[int]
    issuer: str
    subject: str
    groups: _containers.RepeatedScalarFieldContainer[str]
    jwt: str
    def __init__(self, issuer: _Optional[str] = ..., subject: _Optional[str] = ..., groups: _Optional[_Iterable[str]] = ..., jwt: _Optional[str] = ...) -> None: ...

class Attribute(_message.Message):
    __slots__ = ("name", "text", "integer", "boolean", "texts", "absent")
    NAME_FIELD_NUMBER: _ClassVar[int]
    TEXT_FIELD_NUMBER: _ClassVar[int]
    INTEGER_FIELD_NUMBER: _ClassVar[int]
    BOOLEAN_FIELD_NUMBER: _ClassVar[int]
    TEXTS_FIELD_NUMBER: _ClassVar[int]
    ABSENT_FIELD_NUMBER: _ClassVar[int]
    name: str
    text: str
    integer: int
    boolean: bool
    texts: Texts
    absent: Absent
    def __init__(self, name: _Optional[str] = ..., text: _Optional[str] = ..., integer: _Optional[int] = ..., boolean: _Optional[bool] = ..., texts: _Optional[_Union[Texts, _Mapping]] = ..., absent: _Optional[_Union[Absent, _Mapping]] = ...) -> None: ...

class Texts(_message.Message):
    __slots__ = ("items",)
    ITEMS_FIELD_NUMBER: _ClassVar[int]
    items: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, items: _Optional[_Iterable[str]] = ...) -> None: ...

class Absent(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class Answer(_message.Message):
    __slots__ = ("decision", "reason", "enforced", "rules", "decision_id", "revision", "age_seconds", "region", "max_age_ms", "valid_until", "obligations", "reuse", "shadow", "explanation")
    DECISION_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    ENFORCED_FIELD_NUMBER: _ClassVar[int]
    RULES_FIELD_NUMBER: _ClassVar[int]
    DECISION_ID_FIELD_NUMBER: _ClassVar[int]
    REVISION_FIELD_NUMBER: _ClassVar[int]
    AGE_SECONDS_FIELD_NUMBER: _ClassVar[int]
    REGION_FIELD_NUMBER: _ClassVar[int]
    MAX_AGE_MS_FIELD_NUMBER: _ClassVar[int]
    VALID_UNTIL_FIELD_NUMBER: _ClassVar[int]
    OBLIGATIONS_FIELD_NUMBER: _ClassVar[int]
    REUSE_FIELD_NUMBER: _ClassVar[int]
    SHADOW_FIELD_NUMBER: _ClassVar[int]
    EXPLANATION_FIELD_NUMBER: _ClassVar[int]
    decision: Decision
    reason: Reason
    enforced: bool
    rules: _containers.RepeatedCompositeFieldContainer[Rule]
    decision_id: str
    revision: str
    age_seconds: int
    region: Region
    max_age_ms: int
    valid_until: _timestamp_pb2.Timestamp
    obligations: _containers.RepeatedCompositeFieldContainer[Obligation]
    reuse: Reuse
    shadow: Shadow
    explanation: Explanation
    def __init__(self, decision: _Optional[_Union[Decision, str]] = ..., reason: _Optional[_Union[Reason, str]] = ..., enforced: _Optional[bool] = ..., rules: _Optional[_Iterable[_Union[Rule, _Mapping]]] = ..., decision_id: _Optional[str] = ..., revision: _Optional[str] = ..., age_seconds: _Optional[int] = ..., region: _Optional[_Union[Region, _Mapping]] = ..., max_age_ms: _Optional[int] = ..., valid_until: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., obligations: _Optional[_Iterable[_Union[Obligation, _Mapping]]] = ..., reuse: _Optional[_Union[Reuse, str]] = ..., shadow: _Optional[_Union[Shadow, _Mapping]] = ..., explanation: _Optional[_Union[Explanation, _Mapping]] = ...) -> None: ...

class Rule(_message.Message):
    __slots__ = ("name", "at", "because")
    NAME_FIELD_NUMBER: _ClassVar[int]
    AT_FIELD_NUMBER: _ClassVar[int]
    BECAUSE_FIELD_NUMBER: _ClassVar[int]
    name: str
    at: str
    because: str
    def __init__(self, name: _Optional[str] = ..., at: _Optional[str] = ..., because: _Optional[str] = ...) -> None: ...

class Region(_message.Message):
    __slots__ = ("service", "principal", "method", "path", "rest", "context", "evidence")
    SERVICE_FIELD_NUMBER: _ClassVar[int]
    PRINCIPAL_FIELD_NUMBER: _ClassVar[int]
    METHOD_FIELD_NUMBER: _ClassVar[int]
    PATH_FIELD_NUMBER: _ClassVar[int]
    REST_FIELD_NUMBER: _ClassVar[int]
    CONTEXT_FIELD_NUMBER: _ClassVar[int]
    EVIDENCE_FIELD_NUMBER: _ClassVar[int]
    service: str
    principal: str
    method: str
    path: _containers.RepeatedCompositeFieldContainer[Step]
    rest: bool
    context: _containers.RepeatedCompositeFieldContainer[Attribute]
    evidence: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, service: _Optional[str] = ..., principal: _Optional[str] = ..., method: _Optional[str] = ..., path: _Optional[_Iterable[_Union[Step, _Mapping]]] = ..., rest: _Optional[bool] = ..., context: _Optional[_Iterable[_Union[Attribute, _Mapping]]] = ..., evidence: _Optional[_Iterable[str]] = ...) -> None: ...

class Step(_message.Message):
    __slots__ = ("segment", "any", "excluding")
    SEGMENT_FIELD_NUMBER: _ClassVar[int]
    ANY_FIELD_NUMBER: _ClassVar[int]
    EXCLUDING_FIELD_NUMBER: _ClassVar[int]
    segment: str
    any: AnySegment
    excluding: Excluding
    def __init__(self, segment: _Optional[str] = ..., any: _Optional[_Union[AnySegment, _Mapping]] = ..., excluding: _Optional[_Union[Excluding, _Mapping]] = ...) -> None: ...

class AnySegment(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class Excluding(_message.Message):
    __slots__ = ("segments", "prefixes", "suffixes")
    SEGMENTS_FIELD_NUMBER: _ClassVar[int]
    PREFIXES_FIELD_NUMBER: _ClassVar[int]
    SUFFIXES_FIELD_NUMBER: _ClassVar[int]
    segments: _containers.RepeatedScalarFieldContainer[str]
    prefixes: _containers.RepeatedScalarFieldContainer[str]
    suffixes: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, segments: _Optional[_Iterable[str]] = ..., prefixes: _Optional[_Iterable[str]] = ..., suffixes: _Optional[_Iterable[str]] = ...) -> None: ...

class Obligation(_message.Message):
    __slots__ = ("set_header", "remove_header")
    SET_HEADER_FIELD_NUMBER: _ClassVar[int]
    REMOVE_HEADER_FIELD_NUMBER: _ClassVar[int]
    set_header: Header
    remove_header: str
    def __init__(self, set_header: _Optional[_Union[Header, _Mapping]] = ..., remove_header: _Optional[str] = ...) -> None: ...

class Header(_message.Message):
    __slots__ = ("name", "value")
    NAME_FIELD_NUMBER: _ClassVar[int]
    VALUE_FIELD_NUMBER: _ClassVar[int]
    name: str
    value: str
    def __init__(self, name: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...

class Shadow(_message.Message):
    __slots__ = ("decision", "reason", "rules")
    DECISION_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    RULES_FIELD_NUMBER: _ClassVar[int]
    decision: Decision
    reason: Reason
    rules: _containers.RepeatedCompositeFieldContainer[Rule]
    def __init__(self, decision: _Optional[_Union[Decision, str]] = ..., reason: _Optional[_Union[Reason, str]] = ..., rules: _Optional[_Iterable[_Union[Rule, _Mapping]]] = ...) -> None: ...

class Explanation(_message.Message):
    __slots__ = ("considered", "nearest", "reading", "problem")
    CONSIDERED_FIELD_NUMBER: _ClassVar[int]
    NEAREST_FIELD_NUMBER: _ClassVar[int]
    READING_FIELD_NUMBER: _ClassVar[int]
    PROBLEM_FIELD_NUMBER: _ClassVar[int]
    considered: _containers.RepeatedCompositeFieldContainer[ConsideredRule]
    nearest: NearestRule
    reading: str
    problem: Problem
    def __init__(self, considered: _Optional[_Iterable[_Union[ConsideredRule, _Mapping]]] = ..., nearest: _Optional[_Union[NearestRule, _Mapping]] = ..., reading: _Optional[str] = ..., problem: _Optional[_Union[Problem, _Mapping]] = ...) -> None: ...

class ConsideredRule(_message.Message):
    __slots__ = ("rule", "effect", "shadow", "outcome", "differences")
    RULE_FIELD_NUMBER: _ClassVar[int]
    EFFECT_FIELD_NUMBER: _ClassVar[int]
    SHADOW_FIELD_NUMBER: _ClassVar[int]
    OUTCOME_FIELD_NUMBER: _ClassVar[int]
    DIFFERENCES_FIELD_NUMBER: _ClassVar[int]
    rule: Rule
    effect: Decision
    shadow: bool
    outcome: str
    differences: _containers.RepeatedCompositeFieldContainer[Difference]
    def __init__(self, rule: _Optional[_Union[Rule, _Mapping]] = ..., effect: _Optional[_Union[Decision, str]] = ..., shadow: _Optional[bool] = ..., outcome: _Optional[str] = ..., differences: _Optional[_Iterable[_Union[Difference, _Mapping]]] = ...) -> None: ...

class NearestRule(_message.Message):
    __slots__ = ("rule", "differences")
    RULE_FIELD_NUMBER: _ClassVar[int]
    DIFFERENCES_FIELD_NUMBER: _ClassVar[int]
    rule: Rule
    differences: _containers.RepeatedCompositeFieldContainer[Difference]
    def __init__(self, rule: _Optional[_Union[Rule, _Mapping]] = ..., differences: _Optional[_Iterable[_Union[Difference, _Mapping]]] = ...) -> None: ...

class Difference(_message.Message):
    __slots__ = ("coordinate", "given", "wanted", "truth")
    COORDINATE_FIELD_NUMBER: _ClassVar[int]
    GIVEN_FIELD_NUMBER: _ClassVar[int]
    WANTED_FIELD_NUMBER: _ClassVar[int]
    TRUTH_FIELD_NUMBER: _ClassVar[int]
    coordinate: str
    given: str
    wanted: str
    truth: str
    def __init__(self, coordinate: _Optional[str] = ..., given: _Optional[str] = ..., wanted: _Optional[str] = ..., truth: _Optional[str] = ...) -> None: ...

class Problem(_message.Message):
    __slots__ = ("code", "sentence")
    CODE_FIELD_NUMBER: _ClassVar[int]
    SENTENCE_FIELD_NUMBER: _ClassVar[int]
    code: str
    sentence: str
    def __init__(self, code: _Optional[str] = ..., sentence: _Optional[str] = ...) -> None: ...

class DecideBatchRequest(_message.Message):
    __slots__ = ("questions",)
    QUESTIONS_FIELD_NUMBER: _ClassVar[int]
    questions: _containers.RepeatedCompositeFieldContainer[Question]
    def __init__(self, questions: _Optional[_Iterable[_Union[Question, _Mapping]]] = ...) -> None: ...

class DecideBatchResponse(_message.Message):
    __slots__ = ("results",)
    RESULTS_FIELD_NUMBER: _ClassVar[int]
    results: _containers.RepeatedCompositeFieldContainer[Result]
    def __init__(self, results: _Optional[_Iterable[_Union[Result, _Mapping]]] = ...) -> None: ...

class Result(_message.Message):
    __slots__ = ("answer", "error")
    ANSWER_FIELD_NUMBER: _ClassVar[int]
    ERROR_FIELD_NUMBER: _ClassVar[int]
    answer: Answer
    error: Error
    def __init__(self, answer: _Optional[_Union[Answer, _Mapping]] = ..., error: _Optional[_Union[Error, _Mapping]] = ...) -> None: ...

class Error(_message.Message):
    __slots__ = ("code", "message")
    CODE_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    code: str
    message: str
    def __init__(self, code: _Optional[str] = ..., message: _Optional[str] = ...) -> None: ...

class WatchRevisionsRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class RevisionEvent(_message.Message):
    __slots__ = ("revision", "heartbeat")
    REVISION_FIELD_NUMBER: _ClassVar[int]
    HEARTBEAT_FIELD_NUMBER: _ClassVar[int]
    revision: Revision
    heartbeat: Heartbeat
    def __init__(self, revision: _Optional[_Union[Revision, _Mapping]] = ..., heartbeat: _Optional[_Union[Heartbeat, _Mapping]] = ...) -> None: ...

class Revision(_message.Message):
    __slots__ = ("revision", "number")
    REVISION_FIELD_NUMBER: _ClassVar[int]
    NUMBER_FIELD_NUMBER: _ClassVar[int]
    revision: str
    number: int
    def __init__(self, revision: _Optional[str] = ..., number: _Optional[int] = ...) -> None: ...

class Heartbeat(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class ReuseReport(_message.Message):
    __slots__ = ("reused",)
    REUSED_FIELD_NUMBER: _ClassVar[int]
    reused: _containers.RepeatedCompositeFieldContainer[Reused]
    def __init__(self, reused: _Optional[_Iterable[_Union[Reused, _Mapping]]] = ...) -> None: ...

class Reused(_message.Message):
    __slots__ = ("decision_id", "times")
    DECISION_ID_FIELD_NUMBER: _ClassVar[int]
    TIMES_FIELD_NUMBER: _ClassVar[int]
    decision_id: str
    times: int
    def __init__(self, decision_id: _Optional[str] = ..., times: _Optional[int] = ...) -> None: ...

class ReuseTaken(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...
