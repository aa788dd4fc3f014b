"""`never` and `always`, as authors meet them: texts in, diagnostics out."""

from datetime import UTC, datetime

import pytest

from pdp.analysis import invariants, witnesses
from pdp.diagnostics import Diagnostic, Severity
from pdp.store.bundle import make_bundle
from pdp.store.loader import Loader
from pdp.store.snapshot import Loaded
from pdp.vocabulary import Decision, Effect, Reason

NOW = int(datetime(2026, 11, 21, 12, tzinfo=UTC).timestamp() * 1000)
DAY = 86_400_000

HEAD = """language 1
trust domain prod = "prod.test"
issuer corp = "https://login.test"
attribute mesh.zone is string
attribute user.level is int
group sre = { namespace prod/sre }
"""


def load(*parts: str, now: int = NOW) -> Loaded:
    text = HEAD + "\n".join(parts) + "\n"
    return Loader().load(make_bundle({"main.policy": text.encode()}), now=now)


def found(*parts: str, now: int = NOW) -> list[Diagnostic]:
    return [d for d in load(*parts, now=now).diagnostics if d.code.startswith("PDP50")]


def only(*parts: str, now: int = NOW) -> Diagnostic:
    (diagnostic,) = found(*parts, now=now)
    return diagnostic


# -- never -----------------------------------------------------------------------------


def test_a_never_that_no_rule_touches_holds():
    assert found("service s { allow sa prod/a/b to GET /x }", "never sa prod/a/c may any /** on s") == []


def test_a_broken_never_names_the_request_and_the_rule_that_allows_it():
    broken = only(
        "service s { allow prod/** to GET /v1/{id} as reader }", "never prod/ns/dev/** may any /** on s"
    )

    assert broken.code == "PDP501"
    assert broken.severity is Severity.ERROR
    assert broken.message == "`spiffe://prod.test/ns/dev` may `GET s /v1/x`"
    assert [note for _, note in broken.related] == ["allowed by `s/reader`"]


def test_a_broken_never_keeps_the_version_from_being_served():
    loaded = load("service s { allow anyone to GET /x }", "never anyone may GET /x on s")

    assert loaded.snapshot is None


def test_a_deny_that_covers_all_of_it_keeps_a_never():
    rules = "service s { allow prod/** to GET /** }\ndeny prod/ns/dev/** to any /** on any service"

    assert found(rules, "never prod/ns/dev/** may any /** on s") == []


def test_a_deny_that_leaves_one_path_out_does_not():
    rules = "service s { allow prod/** to GET /**\n deny anyone to GET /a/** except /a/b }"

    assert only(rules, "never anyone may GET /a/** on s").message.endswith("`GET s /a/b`")


def test_denies_that_only_together_cover_all_of_it_keep_a_never():
    rules = """service s { allow anyone to GET /**
        deny any authenticated to GET /**
        deny anyone to GET /** unless principal in sre }"""

    assert found(rules, "never anyone may GET /** on s") == []


def test_a_deny_that_needs_an_attribute_closes_where_it_is_not_known():
    """Unknown closes: the witness has to say an address outside the block."""
    rules = "service s { allow anyone to GET /**\n deny anyone to GET /** when source.ip in 10.0.0.0/8 }"

    message = only(rules, "never anyone may GET /x on s").message

    assert "with `source.ip` = " in message
    assert '"10.' not in message


def test_a_never_with_a_condition_forbids_also_what_is_not_known():
    rules = 'service s { allow anyone to GET /** when mesh.zone == "a" or has header.x-a }'

    assert only(rules, 'never anyone may GET /x on s when mesh.zone == "b"').message.endswith(
        "without `mesh.zone`"
    )


def test_a_never_with_the_opposite_condition_holds():
    rules = 'service s { allow anyone to GET /** when mesh.zone == "a" }'

    assert found(rules, 'never anyone may GET /x on s when mesh.zone == "b"') == []


def test_a_value_with_a_comma_does_not_stand_for_one_without():
    rules = 'service s { allow anyone to GET /** when header.x in { "a,b", "c" } and not header.x == "a" }'

    assert '"c"' in only(rules, "never anyone may GET /x on s").message


def test_between_two_integers_there_may_be_one_or_none():
    rules = "service s { allow anyone to GET /** when user.level > 1 and user.level < %d }"

    assert found(rules % 2, "never anyone may GET /x on s") == []
    assert "`user.level` = 2" in only(rules % 3, "never anyone may GET /x on s").message


def test_a_block_of_addresses_with_a_hole_is_seen_at_its_border():
    rules = """service s { allow anyone to GET /**
        when source.ip in 10.0.0.0/8 and not source.ip in { 10.0.0.0/9, %s } }"""

    assert found(rules % "10.128.0.0/9", "never anyone may GET /x on s") == []
    assert "10.192.0.0" in only(rules % "10.128.0.0/10", "never anyone may GET /x on s").message


def test_three_members_of_one_list_are_found():
    rules = """service s { allow anyone to GET /**
        when user.scope has "a" and user.scope has "b" and user.scope has "c" }"""

    assert '["a", "b", "c"]' in only(rules, "never anyone may GET /x on s").message


def test_a_user_is_invented_where_rules_want_one():
    rules = "service s { allow anyone on behalf of group corp/admins to GET /** }"

    message = only(rules, "never anyone may GET /x on s").message

    assert 'of "https://login.test" in ["admins"]' in message


def test_captures_that_must_be_equal_are():
    rules = "service s { allow prod/ns/{team}/sa/* to GET /teams/{team}/** }"

    assert found(rules, "never prod/ns/a/** may any /teams/b/** on s") == []
    assert "/ns/b/sa/" in only(rules, "never prod/ns/** may any /teams/b/** on s").message


def test_a_capture_that_differs_from_every_name_is_found():
    rules = 'service s { allow prod/ns/{team}/** to GET /{to} when {team} != {to} and {team} != "a" }'

    assert found(rules, "never prod/** may GET /a on s when principal in prod/ns/a") == []
    assert only(rules, "never prod/** may GET /a on s").code == "PDP501"


def test_a_capture_of_the_path_takes_the_value_that_a_condition_asks_for():
    rules = 'service s { allow anyone to GET /{id} when {id} == "secret" }'

    assert only(rules, "never anyone may GET /* on s").message == "`spiffe://x.test/x` may `GET s /secret`"
    assert found(rules, "never anyone may GET /public on s") == []


def test_two_attributes_can_be_equal_and_can_differ():
    rules = "service s { allow anyone to GET /x when mesh.zone %s request.host and mesh.zone != %s }"

    assert only(rules % ("==", '"a"'), "never anyone may GET /x on s").code == "PDP501"
    assert only(rules % ("!=", '"a"'), "never anyone may GET /x on s").code == "PDP501"
    assert (
        only(rules % ("==", '"a" and request.host == "b"'), "never anyone may GET /x on s").code == "PDP501"
    )
    assert found(rules % ("==", '"a" and request.host == "a"'), "never anyone may GET /x on s") == []


def test_attributes_that_must_all_differ_find_enough_values():
    names = ("mesh.zone", "request.host", "tls.sni", "tls.alpn", "tls.version")
    apart = " and ".join(f"{one} != {two}" for one in names for two in names if one < two)
    within = " and ".join(f'{name} in {{ "a", "b" }}' for name in names[:2])
    rules = "service s {{ allow anyone to GET /x when {} and {} }}"

    assert only(rules.format(apart, within), "never anyone may GET /x on s").code == "PDP501"
    assert (
        found(rules.format(apart, f'{within} and tls.sni in {{ "a", "b" }}'), "never anyone may GET /x on s")
        == []
    )


def test_a_family_that_nobody_supplies_is_neither_there_nor_absent():
    rules = "service s { allow anyone to GET /x when has source.ip or not has source.ip }"

    broken = only(rules, "always anyone may GET /x on s")

    assert broken.message.endswith("without `source.ip`, where nobody supplies `source`")


def test_a_fresh_segment_is_no_known_one_even_where_affixes_stand_beside_it():
    rules = "service s { allow anyone to GET /x*\n deny anyone to GET /*y\n deny anyone to GET /xyz }"

    assert only(rules, "never anyone may GET /** on s").code == "PDP501"


def test_a_deny_of_one_method_does_not_close_the_other():
    rules = "service s { allow anyone to any /x\n deny anyone to GET /x }"

    assert "`POST s /x`" in only(rules, "never anyone may GET, POST /x on s").message


def test_the_unauthenticated_are_somebody_too():
    rules = "service s { allow anyone to GET /x\n deny any authenticated to GET /x }"

    assert only(rules, "never anyone may GET /x on s").message == "`anonymous` may `GET s /x`"


def test_a_dns_identity_of_one_label_more_is_found():
    rules = "service s { allow dns *.b.test to GET /x\n deny dns a.b.test to GET /x }"

    assert only(rules, "never dns *.b.test may GET /x on s").message == "`dns:y.b.test` may `GET s /x`"
    assert found(rules, "never dns *.c.test, dns a.b.test, dns *.test may GET /x on s") == []


def test_a_method_that_no_rule_names_is_one_too():
    rules = "service s { allow anyone to any /x\n deny anyone to GET, POST /x }"

    assert "OTHER s /x" in only(rules, "never anyone may any /x on s").message


def test_a_trailing_slash_is_another_path():
    rules = "service s { allow anyone to GET /a/**\n deny anyone to GET /a\n deny anyone to GET /a/*/** }"

    assert only(rules, "never anyone may any /** on s").message.endswith("`GET s /a/`")


def test_a_shadow_allow_breaks_nothing_and_a_shadow_deny_keeps_nothing():
    assert found("service s { shadow allow anyone to GET /x }", "never anyone may GET /x on s") == []
    rules = "service s { allow anyone to GET /x\n shadow deny anyone to GET /x }"
    assert only(rules, "never anyone may GET /x on s").code == "PDP501"


def test_what_is_only_observed_is_not_allowed_by_a_rule():
    assert found("service s observe until 2027-01-01 { }", "never anyone may GET /x on s") == []


def test_an_allow_that_begins_next_year_breaks_a_never_today():
    rules = "service s { allow anyone to GET /x from 2027-03-01 }"

    assert only(rules, "never anyone may GET /x on s").message.endswith("at 2027-03-01T00:00:00Z")


def test_an_allow_that_has_ended_breaks_nothing():
    rules = "service s { allow anyone to GET /x until 2026-11-01 }"

    assert found(rules, "never anyone may GET /x on s") == []
    assert only(rules, "never anyone may GET /x on s", now=NOW - 30 * DAY).code == "PDP501"


def test_two_windows_that_never_meet_break_nothing_and_two_that_meet_in_one_minute_do():
    rules = """service s {{ allow anyone to GET /x
        when during mon-fri 09:00-17:00 in Europe/Berlin and during mon-fri {} in UTC }}"""

    assert found(rules.format("17:00-18:00"), "never anyone may GET /x on s") == []
    assert only(rules.format("15:59-18:00"), "never anyone may GET /x on s").code == "PDP501"


def test_windows_that_meet_in_summer_only_are_found_in_winter():
    """Berlin's 08:00 is 06:00 in UTC in summer, 07:00 in winter."""
    rules = """service s { allow anyone to GET /x
        when during mon-sun 08:00-08:01 in Europe/Berlin and during mon-sun 06:00-06:01 in UTC }"""

    assert only(rules, "never anyone may GET /x on s").message.endswith("at 2027-03-28T06:00:00Z")


def test_a_method_override_that_differs_is_no_way_in():
    rules = 'service s { allow anyone to GET /x when header.x-http-method == "POST" }'

    assert found(rules, "never anyone may GET /x on s") == []


def test_on_any_service_means_each_of_them():
    rules = "service s { allow sre to GET /x }\nservice t { allow anyone to GET /x as open }"

    assert [
        note for _, note in only(rules, "never anyone except sre may any /** on any service").related
    ] == ["allowed by `t/open`"]


# -- always ----------------------------------------------------------------------------


def test_an_always_that_an_allow_covers_holds():
    assert found("service s { allow sre to GET /** }", "always sre may GET /x on s") == []


def test_allows_that_only_together_cover_an_always_are_enough():
    rules = """service s { allow anyone to GET /x when source.ip in 10.0.0.0/8
        allow anyone to GET /x unless source.ip in 10.0.0.0/8 }"""
    closed = only(rules, "always anyone may GET /x on s")

    assert closed.message.endswith("without `source.ip`")
    assert found(rules, "always anyone may GET /x on s when has source.ip") == []


def test_an_always_that_a_deny_can_close_is_broken_and_names_the_deny():
    rules = "service s { allow sre to GET /x\n deny anyone to GET /x when source.ip in 10.0.0.0/8 as inside }"
    broken = only(rules, "always sre may GET /x on s")

    assert broken.code == "PDP502"
    assert broken.message.startswith("`spiffe://prod.test/ns/sre/sa/")
    assert [note for _, note in broken.related] == ["denied by `s/inside`"]


def test_an_always_demands_nothing_where_its_condition_is_not_true():
    rules = "service s { allow sre to GET /x when source.ip in 10.0.0.0/8 }"

    assert found(rules, "always sre may GET /x on s when source.ip in 10.1.0.0/16") == []
    assert only(rules, "always sre may GET /x on s").code == "PDP502"


def test_an_allow_that_ends_breaks_an_always_from_then_on():
    rules = "service s { allow sre to GET /x until 2027-03-01 }"

    assert only(rules, "always sre may GET /x on s").message.endswith("at 2027-03-01T00:00:00Z")


def test_an_observed_default_is_no_rule_that_keeps_an_always():
    assert only("service s observe until 2027-01-01 { }", "always sre may GET /x on s").code == "PDP502"


def test_an_always_on_any_service_is_about_the_declared_ones():
    rules = "service s { }\nallow sre to GET /x on any service"
    closed = f"{rules}\nservice t {{ deny anyone to any /** }}"
    wanted = "always sre may GET /x on any service"

    assert found(rules, wanted) == []
    assert only(closed, wanted).code == "PDP502"


# -- services that read paths in several ways --------------------------------------------


def test_a_deny_of_another_reading_is_not_taken_for_an_answer():
    rules = "service s { paths may have trailing-slash\n allow anyone to GET /a/**\n deny anyone to GET /a/ }"

    assert only(rules, "never anyone may GET /a on s").code == "PDP503"


def test_a_never_that_every_reading_breaks_is_broken():
    rules = "service s { paths may have trailing-slash\n allow anyone to GET /a/** }"

    assert only(rules, "never anyone may GET /a on s").code == "PDP501"


def test_an_always_has_to_hold_for_the_other_reading_too():
    rules = "service s { paths may have trailing-slash\n allow anyone to GET /a%s }"

    assert only(rules % "", "always anyone may GET /a on s").code == "PDP502"
    assert found(rules % "/**", "always anyone may GET /a on s") == []


def test_an_always_is_not_said_to_hold_where_readings_are_not_looked_at():
    rules = "service s { paths may have any-case\n allow anyone to GET /a/** }"

    assert only(rules, "always anyone may GET /a on s").code == "PDP503"


@pytest.mark.parametrize(
    ("service", "invariant"),
    [
        (
            "service s observe until 2027-01-01 { paths may have trailing-slash }",
            "never anyone may GET /a on s",
        ),
        (
            """service s { paths may have trailing-slash
            allow anyone to GET /a set header x-a = "1"
            allow anyone to GET /a/ set header x-a = "2" }""",
            "always anyone may GET /a on s",
        ),
    ],
)
def test_readings_that_are_let_pass_or_that_demand_other_things_are_not_guessed_about(service, invariant):
    assert only(service, invariant).code == "PDP503"


# -- doubts ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("invariant", "message"),
    [
        ("never sre may GET /x except /** on s", "no request matches this invariant"),
        ("never prod/a except prod/* may GET /x on s", "no request matches this invariant"),
        (
            "always sre may GET /x on s when user.level > 3 and user.level < 4",
            "the condition can never be true",
        ),
    ],
)
def test_an_invariant_that_says_nothing_is_a_warning(invariant, message):
    doubt = only("service s { }", invariant)

    assert (doubt.code, doubt.severity, doubt.message) == ("PDP504", Severity.WARNING, message)


def test_a_capture_of_the_condition_has_to_be_bound():
    diagnostics = load("service s { }", 'never sre may GET /x on s when {id} == "a"').diagnostics

    assert [d.code for d in diagnostics] == ["PDP218"]


def test_what_is_too_large_to_decide_is_an_error_and_not_said_to_hold():
    some = " or ".join(f'header.x-{letter} == "1"' for letter in "abcdefghijklm")
    rules = f"condition some = {some}\nservice s {{ allow anyone to GET /x when some and not some }}"

    broken = only(rules, "never anyone may GET /x on s")

    assert (broken.code, broken.severity) == ("PDP503", Severity.ERROR)


def test_an_invariant_is_decided_at_the_bound_and_not_one_past_it(monkeypatch):
    parts = (
        "service s { allow prod/** to GET /x\n deny prod/ns/** to GET /x }",
        "never prod/ns/* may any /* on s",
    )

    def decided_in(steps: int) -> bool:
        monkeypatch.setattr(invariants, "MAX_INVARIANT_STEPS", steps)
        codes = [d.code for d in found(*parts)]
        assert codes in ([], ["PDP503"])
        return not codes

    bound = next(steps for steps in range(1, 1000) if decided_in(steps))

    assert not decided_in(bound - 1)
    assert decided_in(bound)
    assert bound > 10


# -- what is kept ------------------------------------------------------------------------


def test_an_unchanged_set_is_not_decided_again(monkeypatch):
    loader = Loader()
    text = (
        HEAD
        + "service s { allow prod/** to GET /x }\nnever sre may POST /x on s\n"
        + "never dns *.test may GET /x on s\n"
    )
    bundle = make_bundle({"main.policy": text.encode()})
    assert loader.load(bundle, now=NOW).snapshot is not None

    def fail(*_args):
        raise AssertionError("decided again")

    monkeypatch.setattr("pdp.analysis.invariants.find", fail)
    assert loader.load(bundle, now=NOW + DAY).snapshot is not None
    with pytest.raises(AssertionError, match="decided again"):
        loader.load(bundle, now=NOW + 31 * DAY)


def test_a_change_of_one_service_decides_again_what_is_about_it():
    loader = Loader()
    head = HEAD + "never anyone except sre may any /** on any service\n"
    files = {
        "main.policy": head.encode(),
        "s.policy": b"language 1\nservice s { allow sre to GET /x }\n",
        "t.policy": b"language 1\nservice t { allow sre to GET /x }\n",
    }
    assert loader.load(make_bundle(files), now=NOW).snapshot is not None
    files["t.policy"] = b"language 1\nservice t { allow anyone to GET /x }\n"

    again = loader.load(make_bundle(files), now=NOW)

    assert [d.code for d in again.diagnostics] == ["PDP501"]
    files["t.policy"] = b"language 1\nservice t { allow sre to GET /x }\n"
    assert loader.load(make_bundle(files), now=NOW).snapshot is not None


def test_an_edited_group_decides_again():
    loader = Loader()
    text = (
        HEAD + "group g = { namespace prod/a }\nservice s { allow sre to GET /x }\nnever g may any /** on s\n"
    )
    assert loader.load(make_bundle({"main.policy": text.encode()}), now=NOW).snapshot is not None
    text = text.replace("group g = { namespace prod/a }", "group g = { namespace prod/sre }")

    assert loader.load(make_bundle({"main.policy": text.encode()}), now=NOW).snapshot is None


def test_an_invariant_that_says_something_again_is_no_longer_doubted():
    loader = Loader()
    text = HEAD + "group g = { }\nservice s { }\nnever g may any /** on s\n"
    before = loader.load(make_bundle({"main.policy": text.encode()}), now=NOW)
    text = text.replace("group g = { }", "group g = { namespace prod/a }")

    after = loader.load(make_bundle({"main.policy": text.encode()}), now=NOW)

    assert [d.code for d in before.diagnostics] == ["PDP504"]
    assert after.diagnostics == ()


def test_what_the_engine_does_not_confirm_is_a_defect_and_no_diagnostic(monkeypatch):
    def refuses(_index, _request):
        return Decision(Effect.DENY, Reason.NO_RULE_MATCHED, True, (), None, None, (), None)

    monkeypatch.setattr(witnesses, "decide", refuses)

    with pytest.raises(witnesses.DisagreementError):
        found("service s { allow anyone to GET /x }", "never anyone may GET /x on s")
