"""Service accounts of Kubernetes: what their tokens have to say, and which SPIFFE IDs they stand for.

Kubernetes, "Service account token volume projection": tokens that are bound, with an end and an audience.
Those of the time before have neither, and prove nothing here. Whether a cluster has issued a token is asked
in `pdp.identity.tokens.jwt`, and by whom it is asked in `pdp.identity.tokens.review`.

INVARIANT: two service accounts of one cluster never stand for one SPIFFE ID, since each of the two names is
a whole segment of it; two clusters never do unless the operator has them share a trust domain.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, NamedTuple, final

from pdp.identity.tokens.refusal import RefusedTokenError, TokenRefusal
from pdp.principals import InvalidIdentityError, Principal, spiffe_principal

__all__ = [
    "DEFAULT_PATH", "LEGACY_ISSUER", "ClusterRules", "ServiceAccount", "check_path", "refuse_legacy",
    "service_account_of", "service_account_of_name",
]  # fmt: skip

#: As Istio and SPIRE name workloads by their service accounts.
DEFAULT_PATH: Final = "/ns/{namespace}/sa/{name}"
#: The `iss` of tokens that lie in Secrets, whatever cluster made them.
LEGACY_ISSUER: Final = "kubernetes/serviceaccount"

_PLACES: Final = ("{namespace}", "{name}")
_LABEL: Final = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?", re.ASCII)  # RFC 1123: a namespace
_MAX_NAME_CHARS: Final = 253  # of a DNS subdomain: a service account
_PREFIX: Final = "system:serviceaccount:"
_DETAILS: Final = "kubernetes.io"  # the claim with what the token is bound to
_LEGACY_CLAIMS: Final = "kubernetes.io/serviceaccount/"


class ServiceAccount(NamedTuple):
    """A service account, within its cluster.

    Attributes:
        namespace: Its namespace.
        name: Its name.
    """

    namespace: str
    name: str


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class ClusterRules:
    """What is said of a cluster besides what is said of every issuer.

    Attributes:
        trust_domain: In which its service accounts have their SPIFFE IDs.
        path: The path of these, with `{namespace}` and `{name}` as segments.
        signed: Whether its keys are known here, and signatures looked at.
        reviewed: Whether the cluster itself is asked about each token.

    Raises:
        ValueError: The path is no such path, or nobody would look at its tokens.
    """

    trust_domain: str
    path: str = DEFAULT_PATH
    signed: bool = True
    reviewed: bool = False

    def __post_init__(self) -> None:
        check_path(self.path)
        if not (self.signed or self.reviewed):
            raise ValueError("neither keys nor the cluster itself would tell whose a token is")

    def principal(self, account: ServiceAccount) -> Principal:
        """The workload that a service account stands for.

        Raises:
            RefusedTokenError: There is no SPIFFE ID for it.
        """
        values = {"{namespace}": account.namespace, "{name}": account.name}
        path = "/".join(values.get(segment, segment) for segment in self.path.split("/"))
        try:
            return spiffe_principal(f"spiffe://{self.trust_domain}{path}")
        except InvalidIdentityError as error:
            message = f"its service account has no SPIFFE ID: {error}"
            raise RefusedTokenError(TokenRefusal.SUBJECT, message) from error


def check_path(path: str) -> str:
    """The path, if it tells all service accounts of a cluster apart.

    Raises:
        ValueError: It does not.
    """
    if not path.startswith("/"):
        raise ValueError("a path begins with `/`")
    segments = path.split("/")
    if sorted(segment for segment in segments if "{" in segment) != sorted(_PLACES):
        # Beside other text `a-b` and `c` would be the same as `a` and `b-c`.
        raise ValueError("`{namespace}` and `{name}` are each a segment of the path, once")
    try:
        spiffe_principal("spiffe://a" + path.replace("{namespace}", "n").replace("{name}", "n"))
    except InvalidIdentityError as error:
        raise ValueError(f"it is not the path of a SPIFFE ID: {error}") from error
    return path


def refuse_legacy(claims: Mapping[str, Any]) -> None:
    """Refuse a token that no kubelet has projected: it never ends, and is for everybody.

    Raises:
        RefusedTokenError: It is one.
    """
    bare = "exp" not in claims and "aud" not in claims
    if bare or claims.get("iss") == LEGACY_ISSUER or any(name.startswith(_LEGACY_CLAIMS) for name in claims):
        message = "it is a service account token out of a Secret, which never ends: mount a projected one"
        raise RefusedTokenError(TokenRefusal.LEGACY, message)


def service_account_of_name(name: object) -> ServiceAccount:
    """The service account that a cluster calls so, as in `sub`.

    Raises:
        RefusedTokenError: None is called so.
    """
    if isinstance(name, str) and name.startswith(_PREFIX):
        parts = name.removeprefix(_PREFIX).split(":")
        if len(parts) == 2 and _LABEL.fullmatch(parts[0]) and _is_subdomain(parts[1]):
            return ServiceAccount(*parts)
    message = "`sub` is not `system:serviceaccount:NAMESPACE:NAME`"
    raise RefusedTokenError(TokenRefusal.SUBJECT, message)


def service_account_of(claims: Mapping[str, Any]) -> ServiceAccount:
    """Whom a token is about: `sub` and what the token is bound to say the same.

    Raises:
        RefusedTokenError: They do not, or one of them says nothing.
    """
    account = service_account_of_name(claims.get("sub"))
    details = claims.get(_DETAILS)
    if not isinstance(details, dict):
        message = f"the token has no `{_DETAILS}`, in which a cluster says what it is bound to"
        raise RefusedTokenError(TokenRefusal.MISSING_CLAIM, message)
    bound = details.get("serviceaccount")
    name = bound.get("name") if isinstance(bound, dict) else None
    if details.get("namespace") != account.namespace or name != account.name:
        message = f"`sub` and `{_DETAILS}` name two service accounts"
        raise RefusedTokenError(TokenRefusal.INVALID_CLAIM, message)
    return account


def _is_subdomain(text: str) -> bool:
    """RFC 1123, as Kubernetes has it for names: labels with dots between."""
    return len(text) <= _MAX_NAME_CHARS and all(_LABEL.fullmatch(label) for label in text.split("."))
