"""What a question presents as evidence, and what that proves: values alone.

How the one becomes the other is the business of `pdp.service.evidence`.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final, NamedTuple, final

from pdp.compiler.attributes import known_type, type_problem
from pdp.identity.forwarded.lines import Headers
from pdp.index.rule_index import RuleIndex
from pdp.principals import Principal
from pdp.vocabulary import AttributeValue, EvidenceKind, Millis, User

__all__ = ["NEVER", "NOTHING", "TOKENS", "Presented", "Proof", "claimed"]

#: When what cannot expire expires: the end of 9999.
NEVER: Final[Millis] = 253_402_300_799_999
#: Kinds of evidence that are tokens of workloads; which of them one is, its issuer says.
TOKENS: Final = frozenset({EvidenceKind.JWT_SVID, EvidenceKind.SERVICE_ACCOUNT_TOKEN})


class Presented(NamedTuple):
    """The evidence in a question.

    Attributes:
        kind: Of what kind the principal's is, any token being a `JWT_SVID`; None where the question says who.
        text: That evidence, where it is a text.
        headers: Lines of headers, where it is in these.
        user_token: The user's token, if there is one.
        serial: Of the certificate of which whoever asks says that it is the principal's; empty where it says
            nothing. It proves nobody, and the quarantine knows certificates by it.
    """

    kind: EvidenceKind | None = None
    text: str = ""
    headers: Headers = ()
    user_token: str | None = None
    serial: str = ""

    @property
    def tokens(self) -> Iterator[str]:
        """Those of it that are tokens."""
        if self.kind in TOKENS:
            yield self.text
        if self.user_token is not None:
            yield self.user_token


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Proof:
    """What was proven.

    Attributes:
        kind: By evidence of which kind the principal was; None if it was not.
        principal: Whom the question is about, if that was proven.
        user: On whose behalf it is asked, if that was proven.
        attributes: What tokens claim, as attributes of `principal` and `user`.
        unreadable: Names of such whose values are of no type that rules know.
        expires: The instant from which some of it holds no longer.
        serial: Of the certificate that proved the principal, or is said to be its; empty where there is none.
        tokens: Issuer, subject and name of each token.
    """

    kind: EvidenceKind | None = None
    principal: Principal | None = None
    user: User | None = None
    attributes: Mapping[str, AttributeValue] = field(default_factory=dict)
    unreadable: frozenset[str] = frozenset()
    expires: Millis = NEVER
    serial: str = ""
    tokens: tuple[tuple[str, str, str | None], ...] = ()

    @property
    def families(self) -> frozenset[str]:
        """The families of attributes that are known by it, whether they are there or not."""
        found = {"user"} if self.user is not None else set()
        return frozenset(found | ({"principal"} if self.kind in TOKENS else set()))

    @property
    def kinds(self) -> tuple[tuple[str, str], ...]:
        """Members of the question that were proven, and by evidence of which kind."""
        found = () if self.kind is None else (("principal", self.kind.value),)
        return found if self.user is None else (*found, ("user", "user-token"))

    @property
    def members(self) -> tuple[str, ...]:
        """Which members of the question were proven."""
        proven = (("principal", self.kind), ("user", self.user))
        return tuple(name for name, there in proven if there is not None)


#: There was no evidence.
NOTHING: Final = Proof()


def claimed(
    proof: Proof,
    context: Mapping[str, AttributeValue | None],
    supplied: frozenset[str],
    index: RuleIndex,
) -> tuple[dict[str, AttributeValue | None], frozenset[str]]:
    """Attributes with the claims that rules under an index can read, and the families that are known.

    A claim of another type than the language's is neither there nor absent: of its family nothing counts
    as absent then, so that no allow holds by that, and no deny is evaded.
    """
    found = dict(context)
    unclear = {
        name.partition(".")[0] for name in proof.unreadable if known_type(name, index.attributes) is not None
    }
    for name, value in proof.attributes.items():
        type_ = known_type(name, index.attributes)
        if type_ is None:
            continue  # no rule can read it
        if type_problem(type_, value):
            unclear.add(name.partition(".")[0])
        else:
            found[name] = value
    return found, (supplied | proof.families) - unclear
