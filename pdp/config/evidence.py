"""Settings about evidence in headers: how the proxies of this place write it."""

from typing import Annotated, Self, final

from pydantic import Field, model_validator

from pdp.config.section import Section
from pdp.identity.forwarded.nginx import NGINX_HEADERS, NginxHeaders
from pdp.limits import MAX_XFCC_HOPS

__all__ = ["EvidenceSettings"]

# No underscore: nginx drops such names of clients, others take them for the same with `-`.
_HeaderName = Annotated[str, Field(pattern=r"^[a-z0-9-]{1,64}$")]


@final
class EvidenceSettings(Section):
    """What forms of forwarded evidence leave to the operator."""

    xfcc_hops: int = Field(default=1, ge=1, le=MAX_XFCC_HOPS)
    nginx_certificate_header: _HeaderName = NGINX_HEADERS.certificate.decode()
    nginx_verify_header: _HeaderName = NGINX_HEADERS.verify.decode()

    @model_validator(mode="after")
    def _two_headers(self) -> Self:
        if self.nginx_certificate_header == self.nginx_verify_header:
            msg = "`nginx_certificate_header` and `nginx_verify_header` are one header"
            raise ValueError(msg)
        return self

    @property
    def nginx(self) -> NginxHeaders:
        """The names of nginx's headers."""
        return NginxHeaders(
            certificate=self.nginx_certificate_header.encode(), verify=self.nginx_verify_header.encode()
        )
