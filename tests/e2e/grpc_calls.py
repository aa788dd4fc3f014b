"""A gRPC client for tests: questions as JSON in, answers as JSON out, over real mTLS.

The way between JSON and messages is written here a second time, from the `.proto` file alone, so that
the service's own is not held against itself.
"""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import grpc

from pdp.adapters.grpc.v1 import decision_pb2 as v1
from tests.e2e.running import DEADLINE, Pki, Service

__all__ = [
    "Failure",
    "call",
    "channel",
    "failure_of",
    "from_answer",
    "from_result",
    "grpc_port",
    "streaming",
    "to_question",
]

SERVICE = "/pdp.v1.DecisionService"


@dataclass(frozen=True)
class Failure:
    """What a call comes to that is not answered."""

    status: str
    code: str
    message: str


def grpc_port(service: Service) -> int:
    """Where a service that was told to answers gRPC."""
    return int(service.wait_line("answering gRPC on ").rpartition(":")[2])


def channel(pki: Pki, port: int, name: str | None = "pep", **options: Any) -> grpc.Channel:
    """A channel of a caller with this leaf, or with none."""
    root = (pki.folder / "prod.pem").read_bytes()
    if name is None:
        credentials = grpc.ssl_channel_credentials(root)
    else:
        leaf = (pki.folder / f"{name}.pem").read_bytes()
        key = (pki.folder / f"{name}-key.pem").read_bytes()
        credentials = grpc.ssl_channel_credentials(root, key, leaf)
    # Channels with equal arguments share a connection.
    apart = [("grpc.use_local_subchannel_pool", 1), ("grpc.max_receive_message_length", -1)]
    return grpc.secure_channel(f"127.0.0.1:{port}", credentials, [*apart, *options.items()])


def failure_of(error: grpc.RpcError) -> Failure:
    metadata = dict(error.trailing_metadata() or ())
    return Failure(error.code().name, metadata.get("pdp-code", ""), error.details())


def call(on: grpc.Channel, method: str, message: Any, type_: Any = None) -> Any:
    """One message in, one out as `type_`, or a `Failure`. Bytes are sent as they are."""
    data = message if isinstance(message, bytes) else message.SerializeToString()
    try:
        got = on.unary_unary(method if method.startswith("/") else f"{SERVICE}/{method}")(
            data, timeout=DEADLINE
        )
    except grpc.RpcError as error:
        return failure_of(error)
    return got if type_ is None else type_.FromString(got)


@contextmanager
def streaming(on: grpc.Channel, method: str, messages: Iterable[bytes]) -> Iterator[Any]:
    """A stream in both directions, as bytes; left, it is cancelled."""
    stream = on.stream_stream(f"{SERVICE}/{method}")(iter(messages), timeout=4 * DEADLINE)
    try:
        yield stream
    finally:
        stream.cancel()


# -- questions -------------------------------------------------------------------------


def to_question(json: dict[str, Any]) -> v1.Question:
    """The body of `/v1/decide` as a message."""
    plain = {name: json[name] for name in ("method", "path", "service", "host", "at_least", "explain")
             if json.get(name) is not None}  # fmt: skip
    question = v1.Question(**plain)
    principal = json.get("principal")
    if isinstance(principal, str):
        question.principal.spiffe = principal
    elif principal is not None:
        question.principal.SetInParent()
        for kind, value in principal.items():
            if kind == "forwarded":
                lines = [v1.HeaderLine(name=name, value=text) for name, text in value["headers"].items()]
                question.principal.forwarded.CopyFrom(v1.Forwarded(form=value["form"], headers=lines))
            else:
                setattr(question.principal, kind, value)
    if json.get("user") is not None:
        question.user.CopyFrom(v1.User(**json["user"]))
    for name, value in json.get("context", {}).items():
        question.context.append(to_attribute(name, value))
    return question


def to_attribute(name: str, value: object) -> v1.Attribute:
    if value is None:
        return v1.Attribute(name=name, absent=v1.Absent())
    if isinstance(value, bool):
        return v1.Attribute(name=name, boolean=value)
    if isinstance(value, int):
        return v1.Attribute(name=name, integer=value)
    if isinstance(value, str):
        return v1.Attribute(name=name, text=value)
    assert isinstance(value, list)
    return v1.Attribute(name=name, texts=v1.Texts(items=value))


# -- answers ---------------------------------------------------------------------------


def from_answer(answer: v1.Answer) -> dict[str, Any]:
    """A message as the body of an answer over HTTP."""
    json: dict[str, Any] = {
        "decision": word(v1.Decision, answer.decision),
        "reason": word(v1.Reason, answer.reason),
        "enforced": answer.enforced,
        "rules": [from_rule(rule) for rule in answer.rules],
        "decision_id": answer.decision_id,
        "revision": answer.revision,
        "age_seconds": answer.age_seconds,
        "region": from_region(answer.region) if answer.HasField("region") else None,
        "max_age_ms": answer.max_age_ms,
        "valid_until": answer.valid_until.ToJsonString() if answer.HasField("valid_until") else None,
        "obligations": [from_obligation(duty) for duty in answer.obligations],
        "reuse": word(v1.Reuse, answer.reuse),
    }
    if answer.HasField("shadow"):
        json["shadow"] = {
            "decision": word(v1.Decision, answer.shadow.decision),
            "reason": word(v1.Reason, answer.shadow.reason),
            "rules": [from_rule(rule) for rule in answer.shadow.rules],
        }
    if answer.HasField("explanation"):
        json["explanation"] = from_explanation(answer.explanation)
    return json


def from_result(result: v1.Result) -> dict[str, Any]:
    if result.WhichOneof("result") == "answer":
        return from_answer(result.answer)
    return {"error": {"code": result.error.code, "message": result.error.message}}


def word(enum: Any, value: int) -> str:
    name = enum.Name(value)
    text = name.removeprefix(f"{enum.DESCRIPTOR.name.upper()}_").lower()
    assert text != "unspecified"
    return text


def from_rule(rule: v1.Rule) -> dict[str, str]:
    because = {"because": rule.because} if rule.HasField("because") else {}
    return {"name": rule.name, "at": rule.at, **because}


def from_region(region: v1.Region) -> dict[str, Any]:
    return {
        "service": region.service,
        "principal": region.principal if region.HasField("principal") else None,
        "method": region.method if region.HasField("method") else None,
        "path": [from_step(step) for step in region.path],
        "rest": region.rest,
        "context": {attribute.name: from_attribute(attribute) for attribute in region.context},
        **({"evidence": list(region.evidence)} if region.evidence else {}),
    }


def from_step(step: v1.Step) -> Any:
    match step.WhichOneof("kind"):
        case "segment":
            return step.segment
        case "any":
            return None
        case "excluding":
            lists = {
                "not": step.excluding.segments,
                "not_prefix": step.excluding.prefixes,
                "not_suffix": step.excluding.suffixes,
            }
            return {name: list(texts) for name, texts in lists.items() if texts}
    raise AssertionError("a step of no kind")


def from_attribute(attribute: v1.Attribute) -> Any:
    kind = attribute.WhichOneof("value")
    assert kind is not None
    if kind == "texts":
        return list(attribute.texts.items)
    return None if kind == "absent" else getattr(attribute, kind)


def from_obligation(duty: v1.Obligation) -> dict[str, str]:
    if duty.WhichOneof("kind") == "set_header":
        return {"set_header": duty.set_header.name, "value": duty.set_header.value}
    assert duty.WhichOneof("kind") == "remove_header"
    return {"remove_header": duty.remove_header}


def from_explanation(explanation: v1.Explanation) -> dict[str, Any]:
    json: dict[str, Any] = {
        "considered": [from_considered(found) for found in explanation.considered],
        "nearest": None,
    }
    if explanation.HasField("nearest"):
        nearest = explanation.nearest
        json["nearest"] = {
            "rule": from_rule(nearest.rule),
            "differences": from_differences(nearest.differences),
        }
    if explanation.HasField("reading"):
        json["reading"] = explanation.reading
    if explanation.HasField("problem"):
        json["problem"] = {"code": explanation.problem.code, "sentence": explanation.problem.sentence}
    return json


def from_considered(found: v1.ConsideredRule) -> dict[str, Any]:
    differences = {"differences": from_differences(found.differences)} if found.differences else {}
    return {
        "rule": from_rule(found.rule),
        "effect": word(v1.Decision, found.effect),
        "shadow": found.shadow,
        "outcome": found.outcome,
        **differences,
    }


def from_differences(differences: Iterable[v1.Difference]) -> list[dict[str, str]]:
    return [
        {
            "coordinate": found.coordinate,
            "given": found.given,
            "wanted": found.wanted,
            **({"truth": found.truth} if found.HasField("truth") else {}),
        }
        for found in differences
    ]
