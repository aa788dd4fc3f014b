"""Where proxies ask: what our URLs for them begin with."""

from typing import Final

__all__ = ["EXT_AUTHZ", "FORWARD_AUTH", "is_of_proxy"]

#: Followed by the name of a profile.
FORWARD_AUTH: Final = b"/v1/forward-auth/"
#: Followed by the name of a profile, and the target of the proxy's client.
EXT_AUTHZ: Final = b"/v1/ext-authz/"


def is_of_proxy(target: bytes) -> bool:
    """Whether a request with this target is a proxy's."""
    return target.startswith((FORWARD_AUTH, EXT_AUTHZ))
