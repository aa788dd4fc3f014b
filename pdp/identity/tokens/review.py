"""A cluster asked whether a token holds: TokenReview, as a question and its answer.

Kubernetes API, `authentication.k8s.io/v1`. Only the cluster knows that a pod or a service account is gone.
This module says what is sent and what an answer comes to; over which connection is the business of
`pdp.identity.tokens.api_server`, how often and for how long an answer holds that of `pdp.service.reviews`.
"""

import json
from collections.abc import Set  # noqa: PYI025 -- as a type only
from typing import Any, Final, NamedTuple, final

from pdp.identity.tokens.refusal import RefusedTokenError, TokenRefusal
from pdp.strictness import BadJsonError, strict_value
from pdp.vocabulary import Millis

__all__ = ["PATH", "Review", "ReviewError", "check_review", "read_review", "write_review"]

#: Where an API server is asked.
PATH: Final = "/apis/authentication.k8s.io/v1/tokenreviews"
_KIND: Final = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenReview"}


class ReviewError(ValueError):
    """An answer from which nothing can be told; the message holds nothing of it."""


@final
class Review(NamedTuple):
    """What a cluster says of one token.

    Attributes:
        begins: The instant at which it was asked.
        ends: The instant from which what it said holds no longer.
        refusal: Why it does not take the token, as a sentence; empty where it does.
    """

    begins: Millis
    ends: Millis
    refusal: str = ""

    def holds(self, now: Millis) -> bool:
        """Whether it counts at an instant; a clock that is set back ends it too."""
        return self.begins <= now < self.ends


def check_review(review: Review | None, now: Millis) -> None:
    """Check that a cluster takes a token at an instant, as far as it was asked.

    Raises:
        RefusedTokenError: It does not, or has not said so.
    """
    if review is None or not review.holds(now):
        message = (
            "its cluster has to be asked about the token, and could not be asked or did not answer in time"
        )
        raise RefusedTokenError(TokenRefusal.NOT_REVIEWED, message)
    if review.refusal:
        raise RefusedTokenError(TokenRefusal.REVIEW, f"the token does not hold: {review.refusal}")


def write_review(token: str, audiences: Set[str]) -> bytes:
    """The question whether a token holds, and is for one of these."""
    return json.dumps({**_KIND, "spec": {"token": token, "audiences": sorted(audiences)}}).encode()


def read_review(answer: bytes, subject: str, audiences: Set[str]) -> str:
    """Why a cluster does not take a token, as a sentence; empty where it does.

    Args:
        answer: What it answers.
        subject: Whom the token is about, as it stands in `sub`.
        audiences: Of whom one has to be among those whom the cluster found it to be for.

    Raises:
        ReviewError: It is no TokenReview, or has no status.
    """
    status = _status(answer)
    if status.get("error"):
        return "its cluster finds it invalid"  # what else it says may hold more than a caller may know
    if status.get("authenticated") is not True:
        return "its cluster does not take it: it was not issued there, or what it is bound to is gone"
    user = status.get("user")
    name = user.get("username") if isinstance(user, dict) else None
    if name != subject:
        return "its cluster knows it as somebody else's"
    found = status.get("audiences")
    if not isinstance(found, list) or audiences.isdisjoint(each for each in found if isinstance(each, str)):
        # A server that does not know of audiences leaves them out, and takes a token for anybody.
        return "its cluster does not say that it is for us"
    return ""


def _status(answer: bytes) -> dict[str, Any]:
    try:
        value = strict_value(answer, "the answer")
    except BadJsonError as error:
        raise ReviewError(error.message) from None
    if not isinstance(value, dict) or any(value.get(name) != said for name, said in _KIND.items()):
        raise ReviewError("the answer is no TokenReview of `authentication.k8s.io/v1`")
    status = value.get("status")
    if not isinstance(status, dict):
        raise ReviewError("the answer has no status")
    return status
