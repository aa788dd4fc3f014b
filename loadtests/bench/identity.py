"""What it costs to verify a token and a chain of certificates, with and without the cache.

.venv/bin/python loadtests/bench/identity.py [--tokens 200] [--rounds 7]

Beside each stands the bare check of one signature by `cryptography`: what no verification can do without.
"""

import argparse
import gc
import sys
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from statistics import median

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

from pdp.identity.tokens.base64url import decode_base64url
from pdp.identity.trust import TrustStore
from pdp.identity.x509 import verify_caller
from pdp.service.known_callers import KnownCallers
from pdp.service.known_tokens import KnownTokens
from tests.identity.mint import DOMAIN, NOW, WEB, authority, leaf
from tests.identity.tokens import NOW as INSTANT
from tests.identity.tokens import Key, claims, ec_key, issuer, rsa_key, token, trust, verify_text


def main() -> None:
    """Measure, and print a line for each kind of evidence."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tokens", type=int, default=200)
    parser.add_argument("--rounds", type=int, default=7)
    options = parser.parse_args()
    sys.stdout.write(
        "evidence   signature us  verified us  remembered us  verified/signature  verified/remembered\n"
    )
    for name, key, algorithm in (("ES256", ec_key(), "ES256"), ("RS256", rsa_key(), "RS256")):
        report(name, *of_tokens(key, algorithm, options.tokens, options.rounds))
    report("chain", *of_chains(options.rounds))


def report(name: str, floor: float, verified: float, known: float) -> None:
    """A line of the table."""
    sys.stdout.write(
        f"{name:10} {floor:12.1f} {verified:12.1f} {known:14.1f}"
        f" {verified / floor:19.2f} {verified / known:20.1f}\n"
    )


def of_tokens(key: Key, algorithm: str, count: int, rounds: int) -> tuple[float, float, float]:
    """Medians in microseconds: a bare check, a verification, and one that is remembered."""
    believed = trust(issuer(key.named("a")))
    said = [claims(sub=f"user-{n}", groups=["a", "b"], scope="openid reports:read") for n in range(count)]
    texts = [token({"alg": algorithm, "kid": "a", "typ": "JWT"}, each, key) for each in said]
    looks: list[str] = []
    known = KnownTokens(lambda: believed, count=looks.append)
    for text in texts:
        known.find(text, INSTANT)
    checks = [bare_check(key, text) for text in texts]
    floor, verified, remembered = interleaved(
        [
            checks,
            [lambda text=text: verify_text(text, believed, INSTANT) for text in texts],
            [lambda text=text: known.find(text, INSTANT) for text in texts],
        ],
        rounds,
    )
    assert len(looks) - looks.count("cached") == count
    return floor, verified, remembered


def bare_check(key: Key, text: str) -> Callable[[], object]:
    """The signature check of a token with nothing around it."""
    signed, _, written = text.rpartition(".")
    signature, public, data = decode_base64url(written), key.private.public_key(), signed.encode()
    if isinstance(public, ec.EllipticCurvePublicKey):
        der = encode_dss_signature(int.from_bytes(signature[:32]), int.from_bytes(signature[32:]))
        return lambda: public.verify(der, data, ec.ECDSA(hashes.SHA256()))
    return lambda: public.verify(signature, data, padding.PKCS1v15(), hashes.SHA256())


def of_chains(rounds: int) -> tuple[float, float, float]:
    """The same of a chain of three."""
    span = {"start": NOW - timedelta(days=1), "end": NOW + timedelta(days=30)}
    root = authority("root", uris=[f"spiffe://{DOMAIN}"], **span)
    middle = authority("middle", root, uris=[f"spiffe://{DOMAIN}"], **span)
    caller = leaf(middle, uris=[WEB], **span)
    store = TrustStore(domains={DOMAIN: (root.certificate,)})
    public, certificate = middle.key.public_key(), caller.certificate
    signature, signed = certificate.signature, certificate.tbs_certificate_bytes
    moment = datetime.fromtimestamp(NOW.timestamp(), UTC)
    checks = [lambda: public.verify(signature, signed, ec.ECDSA(hashes.SHA256()))] * 100
    known = KnownCallers(lambda: store, lambda: round(NOW.timestamp() * 1000))
    chain = caller.der, [middle.der]
    floor, verified, remembered = interleaved(
        [
            checks,
            [lambda: verify_caller(*chain, store, moment)] * 100,
            [lambda: known.find((caller.der, middle.der), lambda: chain)] * 100,
        ],
        rounds,
    )
    return floor, verified, remembered


def interleaved(works: Sequence[Sequence[Callable[[], object]]], rounds: int) -> list[float]:
    """The median of each work's rounds, in microseconds of a call; they take turns: noise meets all."""
    gc.collect()
    gc.freeze()
    found: list[list[float]] = [[] for _ in works]
    for turn in range(rounds + 1):
        for times, calls in zip(found, works, strict=True):
            took = microseconds(calls)
            if turn:  # the first is to warm up
                times.append(took)
    return [median(times) for times in found]


def microseconds(calls: Sequence[Callable[[], object]]) -> float:
    """The median of single calls."""
    clock, times = time.perf_counter_ns, []
    for call in calls:
        began = clock()
        call()
        times.append(clock() - began)
    return median(times) / 1000


if __name__ == "__main__":
    main()
