"""Answers by example: methods, readings of paths, observation, dates, obligations and shadow rules."""

import pytest

from pdp.engine.decide import decide
from pdp.limits import MAX_TIME_FLIPS
from pdp.vocabulary import Effect, Obligation, ObligationKind, Reason, User
from tests.engine.asking import NOW, SECOND, ask, decided, index_of, names

DAY = 86_400 * SECOND
MINUTE = 60 * SECOND


def service(rules, head="service s"):
    return index_of(f"{head} {{\n{rules}\n}}")


# -- methods --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("method", "reason"),
    [
        ("GET", Reason.ALLOWED),
        ("PATCH", Reason.NO_RULE_MATCHED),
        ("get", Reason.AMBIGUOUS_METHOD),
        ("G" * 64, Reason.NO_RULE_MATCHED),
        ("G" * 65, Reason.AMBIGUOUS_METHOD),
    ],
)
def test_a_method_is_read_exactly_or_refused(method, reason):
    index = service("allow anyone to GET /x")

    assert decide(index, ask(f"prod/a {method} /x")).reason is reason


@pytest.mark.parametrize("rules", ["allow anyone to any /x", "deny anyone to any /x"])
def test_a_method_that_no_rule_names_is_one_of_any(rules):
    decision = decide(service(rules), ask("prod/a PURGE /x"))

    assert decision.reason in {Reason.ALLOWED, Reason.DENIED_BY_RULE}


OVERRIDES = ("header.x-http-method-override", "header.x-method-override", "header.x-http-method")


@pytest.mark.parametrize("name", OVERRIDES)
@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (("DELETE",), Reason.AMBIGUOUS_METHOD),
        ("DELETE", Reason.AMBIGUOUS_METHOD),
        (("GET", "GET"), Reason.AMBIGUOUS_METHOD),
        (("GET",), Reason.ALLOWED),
        ("GET", Reason.ALLOWED),
        ((), Reason.ALLOWED),
        (None, Reason.ALLOWED),
    ],
)
def test_a_method_override_that_differs_is_refused(name, value, reason):
    index = service("allow anyone to GET /x")

    decision = decide(index, ask("prod/a GET /x", context={"header.x-a": ("1",), name: value}))

    assert decision.reason is reason


def test_what_is_refused_before_any_rule_is_refused_for_this_very_request():
    index = service("allow anyone to any /**")

    for question in ("prod/a get /x", "prod/a GET /a/../b"):
        decision = decide(index, ask(question))

        assert decision.effect is Effect.DENY
        assert decision.enforced is True
        assert (decision.rules, decision.region, decision.obligations, decision.valid_until) == (
            (),
            None,
            (),
            None,
        )


# -- readings of relaxed paths --------------------------------------------------------------

SLASH = "paths may have encoded-slash\n"


def test_a_path_with_two_readings_takes_an_allow_for_each():
    index = service(f"{SLASH}allow anyone to GET /a/b as split\nallow anyone to GET /* as whole")

    assert decided(index, ask("prod/a GET /a%2Fb")) == ("allow", "allowed", ("split", "whole"))


@pytest.mark.parametrize("whole", ["/*", "/{id}", "/a*", "/*b", "/**"])
def test_what_stands_for_a_segment_or_part_of_it_matches_one_with_an_encoded_slash(whole):
    index = service(f"{SLASH}allow anyone to GET /a/b as split\nallow anyone to GET {whole} as whole")

    assert decided(index, ask("prod/a GET /a%2Fb")) == ("allow", "allowed", ("split", "whole"))


@pytest.mark.parametrize("only", ["/a/b", "/*"])
def test_a_reading_without_an_allow_denies(only):
    index = service(f"{SLASH}allow anyone to GET {only} as one")

    assert decided(index, ask("prod/a GET /a%2Fb")) == ("deny", "no_rule_matched", ())


@pytest.mark.parametrize("denied", ["/a/b", "/*"])
def test_a_deny_of_one_reading_denies(denied):
    index = service(f"{SLASH}allow anyone to GET /**\ndeny anyone to GET {denied} as no")

    assert decided(index, ask("prod/a GET /a%2Fb")) == ("deny", "denied_by_rule", ("no",))


def test_without_the_relaxation_such_a_path_is_ambiguous():
    assert decided(service("allow anyone to GET /**"), ask("prod/a GET /a%2Fb"))[1] == "ambiguous_path"


@pytest.mark.parametrize("path", ["/a%2Fb", "/a", "/x/../y"])
def test_an_answer_of_a_relaxed_service_is_for_this_very_request(path):
    index = service(f"{SLASH}allow anyone to GET /**\ndeny anyone to GET /a")

    assert decide(index, ask(f"prod/a GET {path}")).region is None


def test_a_path_without_any_reading_is_ambiguous_even_if_relaxed():
    index = service(f"{SLASH}allow anyone to any /**")

    assert decided(index, ask("prod/a GET /a/../b"))[:2] == ("deny", "ambiguous_path")


def test_the_answers_of_several_readings_come_together():
    index = service(
        f"{SLASH}"
        'allow anyone to GET /a/b until 2026-12-01 set header x-b = "1" reuse at most 5s as split\n'
        "allow anyone to GET /* until 2026-12-02 remove header x-a reuse at most 3s as whole\n"
        "shadow deny anyone to GET /* as shade"
    )

    decision = decide(index, ask("prod/a GET /a%2Fb"))

    assert (decision.effect, decision.reason, decision.enforced) == (Effect.ALLOW, Reason.ALLOWED, True)
    assert decision.valid_until == NOW + 9 * DAY
    assert decision.obligations == (
        Obligation(ObligationKind.REMOVE_HEADER, "x-a"),
        Obligation(ObligationKind.REUSE_AT_MOST, "", "3000"),
        Obligation(ObligationKind.SET_HEADER, "x-b", "1"),
    )
    assert decision.shadow is not None
    assert decision.shadow.effect is Effect.DENY


def test_readings_that_demand_different_values_of_a_header_are_ambiguous():
    index = service(
        f'{SLASH}allow anyone to GET /a/b set header x-a = "1"\nallow anyone to GET /* set header x-a = "2"'
    )

    decision = decide(index, ask("prod/a GET /a%2Fb"))

    assert (decision.effect, decision.reason, decision.enforced) == (Effect.DENY, Reason.AMBIGUOUS_PATH, True)
    assert (decision.rules, decision.obligations) == ((), ())


@pytest.mark.parametrize("rules", ["", "allow anyone to GET /a/b", "allow anyone to GET /*"])
def test_one_observed_reading_makes_the_whole_observed(rules):
    index = service(f"{SLASH}{rules}", head="service s observe until 2026-12-01")

    decision = decide(index, ask("prod/a GET /a%2Fb"))

    assert (decision.effect, decision.enforced) == (Effect.ALLOW, False)
    assert decision.valid_until == NOW + 9 * DAY


@pytest.mark.parametrize(
    ("allowed", "reason"),
    [("/*", Reason.ALLOWED), ("/a/b", Reason.OBSERVED), ("/**", Reason.ALLOWED), ("/q", Reason.OBSERVED)],
)
def test_the_reason_of_several_readings_is_that_of_the_first(allowed, reason):
    """The first reading keeps the slash as part of its segment."""
    index = service(f"{SLASH}allow anyone to GET {allowed}", head="service s observe until 2026-12-01")

    assert decide(index, ask("prod/a GET /a%2Fb")).reason is reason


@pytest.mark.parametrize("shaded", ["/*", "/a/b"])
def test_a_shadow_outcome_of_any_reading_is_told(shaded):
    index = service(f"{SLASH}allow anyone to GET /**\nshadow deny anyone to GET {shaded} as z")

    assert decide(index, ask("prod/a GET /a%2Fb")).shadow.reason is Reason.DENIED_BY_RULE


@pytest.mark.parametrize("rules", ["allow anyone to GET /a as yes", "deny anyone to GET /a as no"])
def test_a_path_with_one_reading_is_decided_as_ever(rules):
    plain, relaxed = (decided(service(head + rules), ask("prod/a GET /a")) for head in ("", SLASH))

    assert relaxed == plain


# -- observation ----------------------------------------------------------------------------

OBSERVED = "service s observe until 2026-11-22T01:00:00Z"
END = NOW + 60 * MINUTE


@pytest.mark.parametrize(
    ("now", "effect", "reason", "valid_until"),
    [
        (NOW, Effect.ALLOW, Reason.OBSERVED, END),
        (END - 1, Effect.ALLOW, Reason.OBSERVED, END),
        (END, Effect.DENY, Reason.NO_RULE_MATCHED, None),
        (END + 1, Effect.DENY, Reason.NO_RULE_MATCHED, None),
    ],
)
def test_a_default_deny_is_let_pass_until_the_end_of_observation(now, effect, reason, valid_until):
    index = service("allow anyone to GET /x", head=OBSERVED)

    decision = decide(index, ask("prod/a GET /y", now=now))

    assert (decision.effect, decision.reason, decision.valid_until) == (effect, reason, valid_until)
    assert decision.enforced is (reason is not Reason.OBSERVED)
    assert decision.rules == ()


def test_rules_of_an_observed_service_decide_as_ever():
    index = service(
        'allow anyone to GET /x set header x-a = "1" as yes\ndeny anyone to GET /y as no', head=OBSERVED
    )

    allowed, denied = decide(index, ask("prod/a GET /x")), decide(index, ask("prod/a GET /y"))

    assert (allowed.reason, allowed.enforced, allowed.valid_until) == (Reason.ALLOWED, True, None)
    assert allowed.obligations
    assert (denied.reason, denied.enforced, denied.valid_until) == (Reason.DENIED_BY_RULE, True, None)


# -- dates and times of week ------------------------------------------------------------------


@pytest.mark.parametrize(
    ("now", "effect", "valid_until"),
    [
        (NOW + 10 * MINUTE - 1, "deny", NOW + 10 * MINUTE),
        (NOW + 10 * MINUTE, "allow", NOW + 20 * MINUTE),
        (NOW + 20 * MINUTE - 1, "allow", NOW + 20 * MINUTE),
        (NOW + 20 * MINUTE, "deny", None),
    ],
)
def test_a_rule_holds_from_its_first_instant_until_just_before_its_last(now, effect, valid_until):
    index = service("allow anyone to GET /x from 2026-11-22T00:10Z until 2026-11-22T00:20Z")

    decision = decide(index, ask("prod/a GET /x", now=now))

    assert (decision.effect.value, decision.valid_until) == (effect, valid_until)


def test_a_date_that_changes_nothing_does_not_end_an_answer():
    index = service("allow anyone to GET /x\nallow anyone to GET /x until 2026-11-22T00:20Z")

    assert decide(index, ask("prod/a GET /x")).valid_until is None


def test_an_obligation_that_ends_ends_the_answer():
    index = service(
        'allow anyone to GET /x until 2026-11-22T00:20Z set header x-a = "1"\nallow anyone to GET /x'
    )

    assert decide(index, ask("prod/a GET /x")).valid_until == NOW + 20 * MINUTE


def test_a_deny_that_nothing_could_open_never_ends():
    index = service("deny anyone to GET /x until 2026-11-22T00:20Z\nshadow allow anyone to GET /x")

    assert decide(index, ask("prod/a GET /x")).valid_until is None


def test_a_deny_that_ends_over_an_allow_ends():
    index = service("deny anyone to GET /x until 2026-11-22T00:20Z\nallow anyone to GET /x")

    assert decide(index, ask("prod/a GET /x")).valid_until == NOW + 20 * MINUTE


def test_services_that_are_not_declared_are_denied_for_ever():
    index = index_of("service s {}\ndeny anyone to any /** on any service until 2026-11-22T00:20Z")

    decision = decide(index, ask("prod/a GET /x", service="other"))

    assert (decision.reason, decision.valid_until) == (Reason.DENIED_BY_RULE, None)
    after = decide(index, ask("prod/a GET /x", service="other", now=NOW + 20 * MINUTE))
    assert (after.reason, after.effect) == (Reason.UNKNOWN_SERVICE, Effect.DENY)


def test_an_allow_on_any_service_opens_no_service_that_is_not_declared():
    index = index_of("service s {}\nallow anyone to any /** on any service")

    assert decide(index, ask("prod/a GET /x", service="s")).reason is Reason.ALLOWED
    assert decided(index, ask("prod/a GET /x", service="other")) == ("deny", "unknown_service", ())


def flipping(count, unseen):
    """Dates that come and go unseen, one every minute, before one that matters."""
    return "\n".join(
        [
            "allow anyone to GET /x until 2026-11-22T12:00Z",
            *(f"allow anyone to GET /x until 2026-11-22T00:{minute:02}Z" for minute in range(1, count + 1)),
            *(["allow anyone to GET /x until 2026-11-22T11:00Z"] if unseen else []),
        ]
    )


@pytest.mark.parametrize(
    ("unseen", "valid_until"),
    [
        (MAX_TIME_FLIPS - 1, NOW + 12 * 60 * MINUTE),
        (MAX_TIME_FLIPS, NOW + MAX_TIME_FLIPS * MINUTE),
        (MAX_TIME_FLIPS + 1, NOW + MAX_TIME_FLIPS * MINUTE),
    ],
)
def test_so_many_dates_are_looked_at_and_the_answer_ends_where_looking_does(unseen, valid_until):
    index = service(flipping(unseen, unseen=False))

    assert decide(index, ask("prod/a GET /x")).valid_until == valid_until


def test_an_answer_does_not_end_where_looking_does_if_nothing_follows():
    lasting = "allow anyone to GET /x when principal in prod/a\n"
    index = service(lasting + flipping(MAX_TIME_FLIPS - 1, unseen=False))

    assert decide(index, ask("prod/a GET /x")).valid_until is None


@pytest.mark.parametrize(
    ("beside", "valid_until"),
    [
        ("", None),
        ("deny anyone to GET /x from 2026-11-22T13:00Z", NOW + 13 * 60 * MINUTE),
        ("allow anyone to GET /x reuse at most 5s until 2026-11-22T13:00Z", NOW + 13 * 60 * MINUTE),
    ],
)
def test_beside_an_allow_that_always_holds_dates_of_plain_allows_do_not_count(beside, valid_until):
    rules = "\n".join(["allow anyone to GET /x", flipping(MAX_TIME_FLIPS + 1, unseen=True), beside])

    assert decide(service(rules), ask("prod/a GET /x")).valid_until == valid_until


def test_an_answer_for_everybody_holds_as_long_for_whom_other_allows_are_about():
    others = flipping(MAX_TIME_FLIPS + 1, unseen=True).replace("allow anyone", "allow prod/b")
    index = service(f"allow anyone to GET /x\n{others}")

    of_one, of_other = (decide(index, ask(f"{who} GET /x")) for who in ("prod/a", "prod/b"))

    assert (of_one.region.principal, of_one.valid_until) == (None, None)
    assert of_other.valid_until is None


# -- obligations ----------------------------------------------------------------------------


def test_obligations_of_all_allows_that_hold_come_together_and_of_reuse_limits_the_least():
    index = service(
        'allow anyone to GET /x set header x-b = "1" reuse at most 5s\n'
        'allow prod/a to GET /x set header x-a = "1" reuse at most 2s\n'
        "allow prod/* to GET /x reuse at most 9s\n"
        'allow prod/b to GET /x set header x-c = "1" reuse at most 1s\n'
        'allow anyone to GET /x when header.x-q == "1" reuse at most 1s\n'
    )

    assert decide(index, ask("prod/a GET /x")).obligations == (
        Obligation(ObligationKind.REUSE_AT_MOST, "", "2000"),
        Obligation(ObligationKind.SET_HEADER, "x-a", "1"),
        Obligation(ObligationKind.SET_HEADER, "x-b", "1"),
    )


# -- shadow rules ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("rules", "would", "why"),
    [
        ("allow anyone to GET /x\nshadow deny anyone to GET /x as z", Effect.DENY, Reason.DENIED_BY_RULE),
        ("shadow allow anyone to GET /x as z", Effect.ALLOW, Reason.ALLOWED),
        ("deny anyone to GET /x\nshadow allow anyone to GET /x as z", None, None),
        ("allow anyone to GET /x\nshadow allow anyone to GET /x as z", None, None),
        ("allow anyone to GET /x\nshadow deny prod/b to GET /x as z", None, None),
        ("allow anyone to GET /x", None, None),
    ],
)
def test_shadow_rules_are_told_where_they_would_change_the_answer(rules, would, why):
    index = service(rules)

    decision = decide(index, ask("prod/a GET /x"))

    if would is None:
        assert decision.shadow is None
    else:
        assert (decision.shadow.effect, decision.shadow.reason) == (would, why)
        assert [index.rule("s", rule).name for rule in decision.shadow.rules] == ["s/z"]


def test_shadow_rules_on_other_paths_change_nothing():
    index = service("allow anyone to GET /x as yes\nshadow deny anyone to GET /y")

    decision = decide(index, ask("prod/a GET /x"))

    assert (names(index, "s", decision), decision.shadow) == (("yes",), None)


# -- the user -------------------------------------------------------------------------------


def test_attributes_of_the_user_are_those_of_the_user_and_never_of_the_context():
    index = service(
        'allow anyone to GET /x when user.sub == "alice"\nallow anyone to GET /y when has user.groups'
    )
    claimed = {"user.sub": "alice", "user.groups": ("devs",), "user.iss": "https://corp.test"}
    bob = User(issuer="https://corp.test", subject="bob")
    alice = User(issuer="https://corp.test", subject="alice", groups=("devs",))

    for path in ("/x", "/y"):
        assert decided(index, ask(f"prod/a GET {path}", context=claimed))[0] == "deny"
        assert decided(index, ask(f"prod/a GET {path}", context=claimed, user=bob))[0] == "deny"
        assert decided(index, ask(f"prod/a GET {path}", user=alice))[0] == "allow"


# -- many rules in one place ------------------------------------------------------------------


def test_every_allow_that_holds_is_named_once():
    index = service(
        "allow prod/a, any authenticated to GET /x as both\n"
        "allow anyone to any /x as all\nallow prod/b to GET /x"
    )

    assert decided(index, ask("prod/a GET /x")) == ("allow", "allowed", ("both", "all"))
