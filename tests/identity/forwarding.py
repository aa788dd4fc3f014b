"""Headers of every form as they are right, and what is made of wrong ones."""

from collections.abc import Sequence

import pytest

from pdp.identity.forwarded.chain import ForwardedChain
from pdp.identity.forwarded.forms import FORMS, VOUCHED_FOR, read_forwarded
from pdp.identity.forwarded.refusal import ForwardedError
from pdp.identity.trust import TrustStore
from pdp.principals import Principal
from pdp.vocabulary import EvidenceKind
from tests.identity.mint import DOMAIN, WEB, authority, leaf
from tests.identity.proxies import CHAINS, Line

OURS = f"spiffe://{DOMAIN}/ns/pdp/sa/pdp"
MESH = "web.shop.serviceaccount.identity.linkerd.cluster.local"
ROOT = authority("root", uris=[f"spiffe://{DOMAIN}"])
MIDDLE = authority("intermediate", ROOT)
SHOWN = [leaf(MIDDLE).der, MIDDLE.der]
TRUST = TrustStore(domains={DOMAIN: (ROOT.certificate,)})
DIRECT = TrustStore(domains={DOMAIN: (MIDDLE.certificate,)})  # for the forms that hold the leaf alone
CERTIFICATES = [form for form in FORMS.values() if form not in VOUCHED_FOR]
#: One header of each form, as it is right.
RIGHT: dict[EvidenceKind, list[Line]] = {
    EvidenceKind.XFCC: [(b"x-forwarded-client-cert", f"By={OURS};URI={WEB}".encode())],
    EvidenceKind.LINKERD: [(b"l5d-client-id", MESH.encode())],
    **{form: CHAINS[form.value][0](SHOWN) for form in CERTIFICATES},
}
#: The header that has to be there once, in each form.
SINGLE = {form: lines[0][0] for form, lines in RIGHT.items()} | {
    EvidenceKind.ALB: b"x-amzn-mtls-clientcert-leaf"
}


def read(form: EvidenceKind, headers: Sequence[Line]) -> ForwardedChain | Principal:
    return read_forwarded(form, headers, ours=OURS)


def refused(form: EvidenceKind, headers: Sequence[Line]) -> ForwardedError:
    with pytest.raises(ForwardedError) as error:
        read(form, headers)
    assert error.value.message.isprintable()
    return error.value


def told(form: EvidenceKind, headers: Sequence[Line]) -> str:
    """What is said of them, if they are refused."""
    try:
        read(form, headers)
    except ForwardedError as error:
        return error.message
    return ""


def replaced(form: EvidenceKind, value: bytes) -> list[Line]:
    """What is right, but for the value of the header that has to be there once."""
    return [(name, value if name == SINGLE[form] else before) for name, before in RIGHT[form]]


def value_of(form: EvidenceKind) -> bytes:
    return dict(RIGHT[form])[SINGLE[form]]
