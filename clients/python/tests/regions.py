"""Random questions, and regions of their answers, over small alphabets, so that they meet often."""

from dataclasses import dataclass
from typing import Any

from hypothesis import strategies as st

from pdp.principals import ANONYMOUS as SERVER_ANONYMOUS
from pdp.principals import Principal as ServerPrincipal
from pdp.principals import dns_principal, spiffe_principal
from pdp.vocabulary import Excluding as ServerExcluding
from pdp.vocabulary import Region as ServerRegion
from pdp.vocabulary import Request
from pdp.vocabulary import User as ServerUser
from pdp_client.question import ANONYMOUS, Dns, Jwt, Question, User, UserToken
from pdp_client.region import Excluding, Region, pin
from tests.property.compiled import contains, full_context

X, Y = "spiffe://a.test/x", "spiffe://a.test/y"
SEGMENTS = ["a", "b", "ab", "abc", "bc", ".well-known"]
METHODS = ["GET", "PUT", "X-SEND"]
#: Attributes by name, each with values of one type, as the service has them.
ATTRIBUTES: dict[str, list[Any]] = {
    "source.ip": [None, "10.0.0.1", "10.0.0.2", ""],
    "header.x-a": [None, ("1",), ("1", "2"), ("2", "1"), ()],
    "request.port": [None, 0, 1, 443],
    "user.email_verified": [None, True, False],
    "user.iss": [None, "i"],
    "user.groups": [None, ("a",)],
    "principal.sub": [None, "s"],
}
#: What tokens prove, by the service alone.
TOKENS: dict[str, tuple[str, dict[str, Any]]] = {
    "t1": (X, {"principal.sub": "s"}),
    "t2": (X, {"principal.sub": "t"}),
    "t3": (Y, {"principal.sub": "s"}),
}
USER_TOKENS: dict[str, tuple[ServerUser, dict[str, Any]]] = {
    "u1": (ServerUser(issuer="i", subject="s"), {"user.email_verified": True}),
    "u2": (ServerUser(issuer="i", subject="s", groups=("a",)), {"user.email_verified": False}),
}

paths = st.builds(
    lambda segments, slash: "/" + "/".join(segments) + ("/" if slash else ""),
    st.lists(st.sampled_from(SEGMENTS), min_size=1, max_size=4),
    st.booleans(),
)
contexts = st.dictionaries(st.sampled_from(list(ATTRIBUTES)), st.none(), max_size=3).flatmap(
    lambda names: st.fixed_dictionaries({name: st.sampled_from(ATTRIBUTES[name]) for name in names})
)
questions = st.builds(
    Question,
    principal=st.sampled_from([X, X, Y, Dns("a.test"), ANONYMOUS, *map(Jwt, TOKENS)]),
    method=st.sampled_from(METHODS),
    path=paths,
    service=st.sampled_from(["s", "t"]),
    user=st.sampled_from(
        [None, None, User("i", "s"), User("i", "s", ("a",)), User("j", "s"), *map(UserToken, USER_TOKENS)]
    ),
    context=contexts,
)
exclusions = st.lists(st.sampled_from(SEGMENTS), max_size=2).map(tuple)


@dataclass(frozen=True)
class Answered:
    """A question, and the region of its answer in both forms."""

    question: Question
    region: Region
    of_service: ServerRegion


@st.composite
def answered(draw: Any) -> Answered:
    question = draw(questions)
    request, context = as_service(question)
    segments = question.path[1:].split("/")
    rest = draw(st.booleans())
    length = draw(st.integers(0, len(segments))) if rest else len(segments)
    steps = [
        draw(st.one_of(st.just(segment), st.none(), st.builds(Excluding, exclusions, exclusions, exclusions)))
        for segment in segments[:length]
    ]
    read = {
        name: context.get(name)
        for name in draw(st.sets(st.sampled_from([*ATTRIBUTES, "user.sub"]), max_size=3))
    }
    principal = draw(st.sampled_from([None, request.principal.id]))
    method = draw(st.sampled_from([None, question.method]))
    return Answered(
        question,
        Region(
            service=question.service or "",
            principal=principal,
            method=method,
            path=tuple(steps),
            rest=rest,
            context={name: pin(value) for name, value in read.items()},
            evidence=evidence_in(question),
        ),
        ServerRegion(
            request.service,
            principal,
            method,
            tuple(
                ServerExcluding(step.segments, step.prefixes, step.suffixes)
                if isinstance(step, Excluding)
                else step
                for step in steps
            ),
            rest,
            read,
        ),
    )


def evidence_in(question: Question) -> tuple[str, ...]:
    proven = ("principal",) if isinstance(question.principal, Jwt) else ()
    return (*proven, "user") if isinstance(question.user, UserToken) else proven


def as_service(question: Question) -> tuple[Request, dict[str, object]]:
    """The request that the service makes of a question, what evidence proves included, and its attributes."""
    context = {name: value or None if value == () else value for name, value in question.context.items()}
    user = None
    principal = _principal(question.principal)
    if isinstance(question.principal, Jwt):
        context = {name: value for name, value in context.items() if not name.startswith("principal.")}
        context |= TOKENS[question.principal.token][1]
    if isinstance(question.user, UserToken):
        user, claims = USER_TOKENS[question.user.token]
        context = {name: value for name, value in context.items() if not name.startswith("user.")} | claims
    elif question.user is not None:
        user = ServerUser(
            issuer=question.user.issuer, subject=question.user.subject, groups=question.user.groups
        )
    request = Request(
        principal=principal,
        service=question.service or "",
        method=question.method,
        path=question.path,
        now=0,
        user=user,
        context=context,
    )
    return request, full_context(request)


def _principal(principal: Any) -> ServerPrincipal:
    match principal:
        case Jwt(token=token):
            return spiffe_principal(TOKENS[token][0])
        case Dns(name=name):
            return dns_principal(name)
        case str():
            return spiffe_principal(principal)
        case _:
            return SERVER_ANONYMOUS


def lies_in(answer: Answered, question: Question) -> bool:
    """Whether a question lies in the region of an answer: the executable form of the rule, and its rule 7."""
    request, context = as_service(question)
    named = evidence_in(answer.question)
    same = all(getattr(question, member) == getattr(answer.question, member) for member in named) and set(
        evidence_in(question)
    ) <= set(named)
    return same and contains(answer.of_service, request, context)
