"""A client of pdp: asks for decisions, keeps its answers by region, and fails closed.

Whatever is not an explicit allow that is understood in full is an exception. How services put it in front of
themselves is in `pdp_client.middleware`.
"""

from pdp_client.async_client import AsyncClient
from pdp_client.cache import CacheCounts, RegionCache
from pdp_client.client import Client
from pdp_client.decision import Decision, Obligation, RemoveHeader, Rule, SetHeader
from pdp_client.errors import (
    BadQuestionError,
    ClosedError,
    CouldNotAnswerError,
    NotPermittedError,
    ServiceError,
    UnreachableError,
    UnreadableAnswerError,
)
from pdp_client.question import (
    ANONYMOUS,
    Anonymous,
    Certificate,
    Dns,
    Forwarded,
    Jwt,
    Principal,
    Question,
    User,
    UserToken,
)
from pdp_client.tls import TlsFiles
from pdp_client.transports.base import Timeouts

__all__ = [
    "ANONYMOUS",
    "Anonymous",
    "AsyncClient",
    "BadQuestionError",
    "CacheCounts",
    "Certificate",
    "Client",
    "ClosedError",
    "CouldNotAnswerError",
    "Decision",
    "Dns",
    "Forwarded",
    "Jwt",
    "NotPermittedError",
    "Obligation",
    "Principal",
    "Question",
    "RegionCache",
    "RemoveHeader",
    "Rule",
    "ServiceError",
    "SetHeader",
    "Timeouts",
    "TlsFiles",
    "UnreachableError",
    "UnreadableAnswerError",
    "User",
    "UserToken",
]
