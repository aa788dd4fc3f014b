"""What a question proves instead of saying it: tokens, certificates, and what a proxy says of some.

Evidence is looked at once the caller's entry says that it may present such a kind, before anything is
decided. Whom it proves is then permitted like whom a caller asserts (`pdp.service.authorization`). Each kind
is read by the module of `pdp.identity` that holds its standard; this one says when, and by whose trust.

INVARIANT: a principal comes out of one piece of evidence, and a user out of the token of an issuer. Neither
is ever taken for the other, or for the caller.
"""

import asyncio
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final, NamedTuple, NoReturn, TypeAlias, final

from pdp.identity.caller import Caller
from pdp.identity.certificates import CertificateTextError, is_authority, presented_chain, read_der
from pdp.identity.forwarded.chain import ForwardedChain
from pdp.identity.forwarded.forms import read_forwarded
from pdp.identity.forwarded.lines import Headers
from pdp.identity.forwarded.nginx import NGINX_HEADERS, NginxHeaders
from pdp.identity.forwarded.refusal import ForwardedError, ForwardedFault
from pdp.identity.refusal import Refusal, UntrustedCertificateError
from pdp.identity.tokens.issuer import TokenIssuer, TokenProfile
from pdp.identity.tokens.jws import CompactToken, parse_compact
from pdp.identity.tokens.jwt import VerifiedToken, issuer_of
from pdp.identity.tokens.refusal import RefusedTokenError, TokenRefusal
from pdp.principals import Principal
from pdp.service.authorization import as_principal
from pdp.service.errors import EvidenceRefusedError
from pdp.service.key_looks import KeyLooks
from pdp.service.known_callers import KnownCallers
from pdp.service.known_tokens import KnownTokens
from pdp.service.proof import NEVER, TOKENS, Presented, Proof
from pdp.service.reviews import Reviews
from pdp.vocabulary import EvidenceKind, Millis

__all__ = ["Verifier"]

_Named: TypeAlias = tuple[Principal, Millis, str]

_ELSEWHERE: Final = "a `By` of the header is not whom it should be for: the caller, or the proxy behind it"
#: Newer keys may take such a token.
_KEYS: Final = frozenset({TokenRefusal.UNKNOWN_KEY, TokenRefusal.KEY_SET})
#: And so may whoever has to be asked about it.
_LATER: Final = _KEYS | {TokenRefusal.NOT_REVIEWED}
#: As what tokens of workloads are presented, by what they prove.
_KINDS: Final[Mapping[TokenProfile, EvidenceKind]] = {
    TokenProfile.SPIFFE: EvidenceKind.JWT_SVID,
    TokenProfile.KUBERNETES: EvidenceKind.SERVICE_ACCOUNT_TOKEN,
}


class _Refused(NamedTuple):
    """A token that may be taken later, and as what it is refused now."""

    code: TokenRefusal
    issuer: TokenIssuer
    token: CompactToken


@final
class Verifier:
    """Turns evidence into what it proves. For one event loop."""

    def __init__(
        self,
        *,
        tokens: KnownTokens,
        looks: KeyLooks,
        reviews: Reviews,
        chains: KnownCallers | None,
        clock: Callable[[], Millis],
        hops: int = 1,
        nginx: NginxHeaders = NGINX_HEADERS,
    ) -> None:
        """Verify by what is in force at each time.

        Args:
            tokens: Verifies tokens.
            looks: Has newer keys looked for.
            reviews: Has clusters asked about their tokens.
            chains: Verifies certificates; None where there are no roots.
            clock: The wall clock.
            hops: How many proxies are in `x-forwarded-client-cert`.
            nginx: How the operator names nginx's headers.
        """
        self._tokens, self._looks, self._reviews = tokens, looks, reviews
        self._chains, self._clock = chains, clock
        self._hops, self._nginx = hops, nginx

    async def look(self, presented: Sequence[Presented], caller: str) -> list[bool]:
        """Look for keys that tokens name and nobody knows, and ask clusters about tokens.

        Several are waited for together, and for a bounded time. Nothing is proven by it.

        Args:
            presented: What was refused for its keys, or for the lack of a review.
            caller: Who presents it.

        Returns:
            For each whether there was a look: it may prove something now.
        """
        shown = Counter(text for each in presented for text in each.tokens)
        refused = await self._refused(shown)
        wanted: dict[tuple[TokenIssuer, str | None], list[str]] = {}
        for text, found in refused.items():
            if found.code in _KEYS:
                wanted.setdefault((found.issuer, found.token.key_id), []).append(text)
        looks = [
            self._looks.wanted(*whom, sum(shown[text] for text in texts)) for whom, texts in wanted.items()
        ]
        looked = await asyncio.gather(*looks)
        newer = [text for texts, was in zip(wanted.values(), looked, strict=True) if was for text in texts]
        refused |= await self._refused(newer)
        workloads = {each.text for each in presented if each.kind in TOKENS}
        unsaid = [
            text for text in workloads & refused.keys() if refused[text].code is TokenRefusal.NOT_REVIEWED
        ]
        asked = [
            self._reviews.wanted(found.issuer, text, str(found.token.claims["sub"]), caller)
            for text, found in ((text, refused[text]) for text in unsaid)
        ]
        said = await asyncio.gather(*asked)
        again = {*newer, *(text for text, was in zip(unsaid, said, strict=True) if was)}
        return [any(text in again for text in each.tokens) for each in presented]

    async def _refused(self, texts: Iterable[str]) -> dict[str, _Refused]:
        """Those of some tokens that newer keys or a review may take."""
        found: dict[str, _Refused] = {}
        for text in texts:
            try:
                self._tokens.find(text, self._clock())
            except RefusedTokenError as error:
                if error.code in _LATER:
                    token = parse_compact(text)
                    named = token.claims.get("sub"), token.claims.get("iss")
                    found[text] = _Refused(error.code, issuer_of(*named, self._tokens.trust), token)
            await asyncio.sleep(0)  # signatures take a while: others have their turn between two
        return found

    def kinds(self, presented: Presented) -> frozenset[EvidenceKind | None]:
        """As which kinds the principal's evidence counts: one, or, of a token that is nobody's, several.

        Nothing is proven by it, and a token that is nobody's proves nothing.
        """
        if presented.kind not in TOKENS or not self._tokens.trust.clusters:
            return frozenset({presented.kind})
        issuer = self._tokens.issuer(presented.text)
        if issuer is None or issuer.profile not in _KINDS:
            return TOKENS
        return frozenset({_KINDS[issuer.profile]})

    def prove(self, presented: Presented, caller: Caller, now: Millis) -> Proof:
        """What evidence proves at an instant, by the trust that is in force.

        INVARIANT: nothing is awaited between this and the decision: neither a removed key nor the end of a
        certificate comes in between.

        Raises:
            EvidenceRefusedError: Some of it proves nothing.
        """
        kind, text, headers, user_token, serial = presented
        principal, expires, tokens = None, NEVER, dict[str, VerifiedToken]()
        match kind:
            case EvidenceKind.JWT_SVID | EvidenceKind.SERVICE_ACCOUNT_TOKEN:
                token = tokens["principal"] = self._token("principal.jwt", text, now)
                principal, expires = token.principal, token.ends
                if principal is None:
                    _refuse("principal.jwt", "subject", "it names a user, and no workload")
                kind = _KINDS[token.issuer.profile]
            case EvidenceKind.CERTIFICATE:
                principal, expires, serial = self._certificate(text, now)
            case None:
                pass
            case _:
                principal, expires, serial = self._forwarded(kind, headers, caller, now)
        user = None
        if user_token is not None:
            token = tokens["user"] = self._token("user.jwt", user_token, now)
            user, expires = token.user, min(expires, token.ends)
            if user is None:
                _refuse("user.jwt", "subject", "it names a workload, and no user")
        return Proof(
            kind=kind,
            principal=principal,
            user=user,
            attributes={
                f"{family}.{name}": value
                for family, token in tokens.items()
                for name, value in token.attributes.items()
            },
            unreadable=frozenset(
                f"{family}.{name}" for family, token in tokens.items() for name in token.unreadable
            ),
            expires=expires,
            serial=serial,
            tokens=tuple((each.issuer.name, each.subject, each.token_id) for each in tokens.values()),
        )

    def _token(self, where: str, text: str, now: Millis) -> VerifiedToken:
        try:
            return self._tokens.find(text, now)
        except RefusedTokenError as error:
            # What keeps keys from being read or fetched is for those who run this service.
            if error.code is TokenRefusal.NOT_REVIEWED and where == "user.jwt":
                _refuse(where, "subject", "it names a workload, and no user")  # nobody is asked for that
            no_keys = error.code is TokenRefusal.KEY_SET
            message = "its issuer has no keys that can be used now" if no_keys else error.message
            _refuse(where, error.code.value, message, by_keys=error.code in _LATER)

    def _certificate(self, text: str, now: Millis) -> _Named:
        where = "principal.certificate"
        try:
            return self._verified(where, [text.encode()], lambda: presented_chain(text.encode()), now)
        except CertificateTextError as error:
            _refuse(where, "malformed", str(error))

    def _forwarded(self, form: EvidenceKind, headers: Headers, caller: Caller, now: Millis) -> _Named:
        """Whom the proxy that asks has seen; where its own name is in the header, it has to be that."""
        where = "principal.forwarded"
        try:
            found = read_forwarded(form, headers, ours=caller.id, hops=self._hops, nginx=self._nginx)
        except ForwardedError as error:
            elsewhere = error.fault is ForwardedFault.ELSEWHERE
            message = _ELSEWHERE if elsewhere else error.message
            _refuse(where, error.fault.value, message)
        if isinstance(found, Principal):
            return found, NEVER, ""
        return self._verified(where, [found.leaf, *found.intermediates], lambda: _only_leaf(found), now)

    def _verified(
        self,
        where: str,
        evidence: Sequence[bytes],
        chain: Callable[[], tuple[bytes, Sequence[bytes]]],
        now: Millis,
    ) -> _Named:
        """Whom a chain names, when it ends, and the serial number of its leaf."""
        if self._chains is None:
            _refuse(where, "no_roots", "no roots are configured that could prove it")
        try:
            proven = self._chains.find(evidence, chain)
        except UntrustedCertificateError as error:
            _refuse(where, error.code.value, error.message)
        if now > proven.not_after:
            _refuse(where, "expired", "a certificate of the chain has expired, or its revocation list has")
        return as_principal(proven), proven.not_after, proven.serial


def _only_leaf(chain: ForwardedChain) -> tuple[bytes, Sequence[bytes]]:
    """A forwarded chain in which nothing but the leaf could be somebody's.

    Where a line of the client and that of the proxy were joined, the first of two leaves is the client's own.
    """
    for number, der in enumerate(chain.intermediates, 2):
        try:
            authority = is_authority(read_der(der, number))
        except CertificateTextError as error:
            raise UntrustedCertificateError(Refusal.MALFORMED, str(error)) from error
        if not authority:
            msg = "a certificate behind the leaf is no CA certificate: two lines may have been joined"
            raise UntrustedCertificateError(Refusal.MALFORMED, msg)
    return chain.leaf, chain.intermediates


def _refuse(where: str, why: str, message: str, *, by_keys: bool = False) -> NoReturn:
    raise EvidenceRefusedError(f"`{where}` is refused ({why}): {message}", by_keys=by_keys)
