"""Bundles that live sources deliver: each for its own trust domain, whole, and told to all who follow."""

from datetime import timedelta

import pytest

from pdp.identity.bundle import LiveBundles, SpiffeBundle
from pdp.identity.tokens.jwks import KeySet, KeySetKind, key_set
from pdp.identity.trust import TrustError
from tests.identity.mint import DOMAIN, NOW, Party, authority, leaf
from tests.identity.tokens import ec_key

OTHER = "partner.example.net"
KEYS = key_set({"keys": [ec_key().named("a", use="jwt-svid")]}, KeySetKind.BUNDLE)


def root(domain: str = DOMAIN) -> Party:
    return authority("root", uris=[f"spiffe://{domain}"], end=NOW + timedelta(days=1))


def bundle(*roots: Party, domain: str = DOMAIN, keys: KeySet = KEYS) -> SpiffeBundle:
    return SpiffeBundle(trust_domain=domain, roots=tuple(each.certificate for each in roots), keys=keys)


def test_a_bundle_holds_only_what_may_sign_for_its_trust_domain() -> None:
    good = root()

    assert bundle(good, good).roots == (good.certificate,)
    for bad in (root(OTHER), leaf(good)):
        with pytest.raises(TrustError, match="cannot be a root"):
            bundle(good, bad)
    with pytest.raises(TrustError, match="is not a trust domain"):
        bundle(domain="spiffe://x")


def test_nothing_verifies_until_it_is_delivered_and_after_an_empty_bundle() -> None:
    live = LiveBundles([DOMAIN])
    (keys,) = live.keys().values()
    assert (live.now()[DOMAIN].roots, keys.current().keys) == ((), ())
    assert "not delivered" in keys.problem

    live.put([bundle(root())])
    assert (len(live.now()[DOMAIN].roots), keys.problem) == (1, "")
    assert [key.key_id for key in keys.latest("b").keys] == ["a"]

    live.put([bundle(keys=KeySet(keys=()))])
    assert (live.now()[DOMAIN].roots, keys.current().keys, keys.problem) == ((), (), "")


def test_a_trust_domain_that_the_settings_do_not_give_it_is_refused_and_changes_nothing() -> None:
    live = LiveBundles([DOMAIN])
    before = live.now()

    with pytest.raises(KeyError):
        live.put([bundle(root()), bundle(root(OTHER), domain=OTHER)])

    assert live.now() is before


def test_all_who_follow_are_told_whatever_one_of_them_raises() -> None:
    live, told = LiveBundles([DOMAIN]), list[str]()

    def fail() -> None:
        raise OSError("too many open files")

    live.on_change(fail)
    stop = live.on_change(lambda: told.append(str(len(live.now()[DOMAIN].roots))))
    with pytest.raises(OSError, match="too many"):
        live.put([bundle(root())])
    stop()
    with pytest.raises(OSError, match="too many"):
        live.put([bundle()])

    assert told == ["1"]
