"""Rules to rows: what a rule stands for, what it is called, and what is refused in it."""

import pytest

from pdp.compiler.callers import lower_callers
from pdp.compiler.environment import gather
from pdp.compiler.numbers import Numbers
from pdp.compiler.resolve import Resolver
from pdp.compiler.rows import ANY_METHOD
from pdp.diagnostics import Severity, Source
from pdp.engine.decide import decide
from pdp.lang.parser import parse
from pdp.limits import MAX_CAPTURES, MAX_EXCEPTIONS, MAX_GROUP_NESTING, MAX_METHODS
from pdp.store.bundle import make_bundle
from pdp.store.loader import Loader
from tests.engine.asking import HEAD, NOW, ask, decided, index_of


def load(*texts, **named):
    files = {f"f{n}.policy": f"language 1\n{text}" for n, text in enumerate(texts) if n}
    files |= {"f0.policy": HEAD + texts[0]}
    files |= {name.replace("__", "/") + ".policy": f"language 1\n{text}" for name, text in named.items()}
    return Loader().load(make_bundle({name: text.encode() for name, text in files.items()}), now=NOW)


def codes(*texts, **named):
    return [d.code for d in load(*texts, **named).diagnostics if d.severity is Severity.ERROR]


def service(rules):
    return index_of(f"service s {{\n{rules}\n}}")


# -- which requests -----------------------------------------------------------------------------

MEANS = {
    # principals
    ("allow prod/a, prod/b to GET /x", "prod/b GET /x"): True,
    ("allow prod/a, prod/b to GET /x", "prod/c GET /x"): False,
    ("allow prod/* except prod/b to GET /x", "prod/a GET /x"): True,
    ("allow prod/* except prod/b to GET /x", "prod/b GET /x"): False,
    ("allow prod/*, dev/* except prod/b and dev/b to GET /x", "dev/b GET /x"): False,
    ("allow any principal of prod to GET /x", "prod/a/b/c GET /x"): True,
    ("allow any principal of prod to GET /x", "dev/a GET /x"): False,
    ("allow prod/** to GET /x", "prod/a GET /x"): True,
    ("allow prod/a/** to GET /x", "prod/a GET /x"): True,
    ("allow prod/a/** to GET /x", "prod/b GET /x"): False,
    ('allow "spiffe://*/a" to GET /x', "dev/a GET /x"): True,
    ('allow "spiffe://*/a" to GET /x', "dev/b GET /x"): False,
    ('allow "spiffe://prod.test/a" to GET /x', "prod/a GET /x"): True,
    ("allow dns vm.test to GET /x", "dns:vm.test GET /x"): True,
    ("allow dns *.test to GET /x", "dns:vm.test GET /x"): True,
    ("allow dns *.test to GET /x", "dns:a.vm.test GET /x"): False,
    ("allow any authenticated to GET /x", "- GET /x"): False,
    ("allow anyone to GET /x", "- GET /x"): True,
    # targets
    ("allow anyone to GET, POST /x, PUT /y", "prod/a POST /x"): True,
    ("allow anyone to GET, POST /x, PUT /y", "prod/a PUT /x"): False,
    ("allow anyone to GET, POST /x, PUT /y", "prod/a PUT /y"): True,
    ("allow anyone to call a.B/C", "prod/a POST /a.B/C"): True,
    ("allow anyone to GET /** except /x and /y/**", "prod/a GET /y/z"): False,
    ("allow anyone to GET /** except /x and /y/**", "prod/a GET /z"): True,
    # captures
    ("allow prod/{n} to GET /{n}", "prod/a GET /a"): True,
    ("allow prod/{n} to GET /{n}", "prod/a GET /b"): False,
    ("allow prod/{n}/{n} to GET /x", "prod/a/a GET /x"): True,
    ("allow prod/{n}/{n} to GET /x", "prod/a/b GET /x"): False,
    ("allow anyone to GET /{n}/{n}", "prod/a GET /q/q"): True,
    ("allow anyone to GET /{n}/{n}", "prod/a GET /q/r"): False,
    ("allow prod/{n} to GET /** except /{n}", "prod/a GET /a"): False,
    ("allow prod/{n} to GET /** except /{n}", "prod/a GET /b"): True,
    ("allow prod/{n} to GET /{m}/** except /{m}/{n}", "prod/a GET /q/a"): False,
    ("allow prod/{n} to GET /{m}/** except /{m}/{n}", "prod/a GET /q/b"): True,
    ("allow anyone to GET /{m}/** except /*/{m}", "prod/a GET /q/q"): False,
    ("allow anyone to GET /{m}/** except /*/{m}", "prod/a GET /q/r"): True,
    ("allow anyone to GET /** except /{own}/{own}", "prod/a GET /q/q"): False,
    ("allow anyone to GET /** except /{own}/{own}", "prod/a GET /q/r"): True,
    ("allow prod/{n}/** to GET /{n}", "prod/a/x/y GET /a"): True,
}


@pytest.mark.parametrize(("rule", "question"), MEANS)
def test_what_a_rule_stands_for(rule, question):
    assert (decided(service(rule), ask(question))[0] == "allow") is MEANS[rule, question]


def test_roles_are_the_targets_they_name_and_may_name_others():
    index = index_of(
        "role read = { GET /x, HEAD /x }\nrole all = { read, POST /y }\n"
        "service s { allow anyone to all, PUT /z }"
    )

    allowed = {
        f"{method} {path}"
        for method in ("GET", "HEAD", "POST", "PUT")
        for path in ("/x", "/y", "/z")
        if decided(index, ask(f"prod/a {method} {path}"))[0] == "allow"
    }

    assert allowed == {"GET /x", "HEAD /x", "POST /y", "PUT /z"}


def test_groups_are_who_they_name_with_their_exceptions():
    index = index_of(
        "group inner = { prod/a, prod/b }\ngroup outer = { inner, prod/c }\n"
        "service s { allow outer except prod/b to GET /x\nallow anyone except outer to GET /y }"
    )

    allowed = {
        (who, path)
        for who in "abcd"
        for path in ("/x", "/y")
        if decided(index, ask(f"prod/{who} GET {path}"))[0] == "allow"
    }

    assert allowed == {("a", "/x"), ("c", "/x"), ("d", "/y")}


def test_a_rule_outside_a_block_is_on_the_services_it_names():
    index = index_of(
        "service s {}\nservice t {}\nservice u {}\n"
        "allow anyone to GET /x on s, t\nallow anyone to GET /y on any service"
    )

    assert [decided(index, ask("prod/a GET /x", service=name))[0] for name in "stu"] == [
        "allow",
        "allow",
        "deny",
    ]
    assert [decided(index, ask("prod/a GET /y", service=name))[0] for name in "stu"] == [
        "allow",
        "allow",
        "allow",
    ]


def test_any_is_every_method_and_named_ones_are_a_bit_each():
    index = service("allow anyone to any /x\nallow anyone to GET, POST /y")
    masks = index.services["s"].columns.masks

    assert list(masks) == [ANY_METHOD, index.methods["GET"] | index.methods["POST"]]
    assert index.methods["GET"] & index.methods["POST"] == 0
    assert all(bit > 1 and bit.bit_count() == 1 for bit in index.methods.values())


# -- what a rule is called ------------------------------------------------------------------------

NAMED = """service s {
    allow anyone to GET /x as get because "why" owner "me"
    deny anyone to GET /y
    shadow allow anyone to GET /z owner "she"
}
deny anyone to GET /q on s as all because "so"
"""


def texts(text):
    columns = index_of(text).services["s"].columns
    return [columns.text(rule) for rule in dict.fromkeys(columns.rules)]


def test_rules_are_named_by_service_and_author_or_else_by_effect_and_content():
    get, deny, shadow, platform = texts(NAMED)

    assert (get.name, get.because, get.owner, get.shadow) == ("s/get", "why", "me", False)
    assert (platform.name, platform.because, platform.owner) == ("platform/all", "so", "")
    assert (shadow.because, shadow.owner, shadow.shadow) == ("", "she", True)
    assert deny.name.startswith("s/deny-")
    assert shadow.name.startswith("s/allow-")
    assert len(deny.name) == len("s/deny-") + 10
    assert [rule.effect.value for rule in (get, deny, shadow, platform)] == ["allow", "deny", "allow", "deny"]
    assert [rule.line for rule in (get, deny, shadow, platform)] == [6, 7, 8, 10]


def test_the_name_of_a_rule_without_one_does_not_change_with_its_place():
    one = texts("service s {\n    allow prod/a to GET /y\n    deny anyone to GET /x }")[1]
    two = texts("\n\nservice s { deny   anyone to GET\n/x }")[0]
    other = texts("service s { deny anyone to GET /xx }")[0]

    assert one.name == two.name != other.name


def test_a_name_is_given_once_in_a_service_and_again_in_another():
    assert codes("service s { allow anyone to GET /x as n\nallow anyone to GET /y as n }") == ["PDP226"]
    assert codes("service s { allow anyone to GET /x as n }\nservice t { allow anyone to GET /x as n }") == []
    assert codes("service s { allow anyone to GET /x as n }\ndeny anyone to GET /y on s as n") == []


# -- refused --------------------------------------------------------------------------------------

REFUSED = {
    "allow anyone to GET /x": "PDP224",
    "service s {}\nallow anyone to GET /x on t": "PDP225",
    "service s { allow anyone to reader }": "PDP227",
    "role a = { b }\nrole b = { a }\nservice s { allow anyone to a }": "PDP228",
    "service s { allow anyone on behalf of nobody/x to GET /x }": "PDP229",
    "service s { deny anyone to GET /x reuse at most 1s }": "PDP338",
    "service s { shadow allow anyone to GET /x reuse at most 1s }": "PDP338",
    "service s { allow anyone to GET /x from 2027-01-02 until 2027-01-01 }": "PDP339",
    "service s { allow anyone to GET /x from 2027-01-01 until 2027-01-01 }": "PDP339",
    "service s { allow nowhere/a to GET /x }": "PDP219",
    "service s { allow any principal of nowhere to GET /x }": "PDP219",
    "service s { allow nobody to GET /x }": "PDP221",
    "service s { allow anyone except nobody to GET /x }": "PDP221",
    "group g = { prod/{x} }\nservice s { allow g to GET /x }": "PDP220",
    "service s { allow anyone except prod/{x} to GET /x }": "PDP220",
    "group a = { b }\ngroup b = { a }\nservice s { allow a to GET /x }": "PDP222",
    "group g = {}\nservice s { allow anyone except g to GET /x }": "PDP223",
    "group g = {}\ngroup h = { g }\nservice s { allow anyone except h to GET /x }": "PDP223",
    "group g = { prod/a except prod/a }\nservice s { allow anyone except g to GET /x }": "PDP223",
}


@pytest.mark.parametrize("text", REFUSED)
def test_a_rule_that_makes_no_sense_is_refused_by_its_own_code(text):
    assert set(codes(text)) == {REFUSED[text]}


@pytest.mark.parametrize(
    "text",
    [
        "service s { allow anyone to GET /x from 2027-01-01 until 2027-01-02 }",
        "service s { allow anyone to GET /x reuse at most 1s }",
        "service s { shadow deny anyone to GET /x }",
        "group g = {}\nservice s { allow g to GET /x }",
        "group g = { prod/* except prod/a }\nservice s { allow anyone except g to GET /x }",
        "service s { allow prod/{x} to GET /x }",
    ],
)
def test_what_is_close_to_a_mistake_and_none_is_accepted(text):
    assert codes(text) == []


@pytest.mark.parametrize("more", [0, 1])
def test_captures_of_a_rule_are_bounded(more):
    path = "".join(f"/{{c{n}}}" for n in range(MAX_CAPTURES - 1 + more))

    assert codes(f"service s {{ allow prod/{{c}} to GET {path} }}") == (["PDP916"] if more else [])
    if not more:
        index = service(f"allow prod/{{c}} to GET {path}")
        assert decide(index, ask(f"prod/a GET {path.replace('{', '').replace('}', '')}")).rules != ()


@pytest.mark.parametrize("more", [0, 1])
def test_exceptions_of_a_target_are_bounded(more):
    excepted = " and ".join(f"/x{n}" for n in range(MAX_EXCEPTIONS + more))

    assert codes(f"service s {{ allow anyone to GET /** except {excepted} }}") == (["PDP914"] if more else [])


@pytest.mark.parametrize("more", [0, 1])
def test_methods_of_a_set_are_bounded(more):
    rules = "\n".join(f"allow anyone to M{n} /x" for n in range(MAX_METHODS + more))
    rules += "\nallow anyone to any /y"

    assert codes(f"service s {{ {rules} }}") == (["PDP915"] if more else [])
    if not more:
        index = service(rules)
        for path in ("/x", "/y"):
            last = decide(index, ask(f"prod/a M{MAX_METHODS - 1} {path}"))
            assert last.effect.value == "allow"
            assert len(last.rules) == 1


@pytest.mark.parametrize("more", [0, 1])
def test_nesting_of_groups_is_bounded(more):
    depth = MAX_GROUP_NESTING + more
    groups = "\n".join(f"group g{n} = {{ g{n + 1} }}" for n in range(depth - 1))
    text = f"{groups}\ngroup g{depth - 1} = {{ prod/a }}\nservice s {{ allow g0 to GET /x }}"

    assert set(codes(text)) == ({"PDP913"} if more else set())


# -- caller entries -------------------------------------------------------------------------------

CALLERS = {
    "caller prod/p fronts t": ["PDP225"],
    "caller prod/p fronts s, t": ["PDP225"],
    'caller prod/{a} fronts "{a}.{b}"': ["PDP218"],
    'caller prod/p fronts "{a}"': ["PDP218"],
    "caller prod/p fronts s supplies nothing": ["PDP230"],
    "caller nowhere/p fronts s": ["PDP219"],
    "caller prod/p fronts s may assert nowhere/x": ["PDP219"],
    "caller prod/p fronts s may assert prod/{x}": ["PDP220"],
    "caller prod/{p} fronts s may assert prod/* supplies source, header": [],
    "caller prod/p fronts any service": [],
}


@pytest.mark.parametrize("entry", CALLERS)
def test_what_is_wrong_with_a_caller_entry_is_said(entry):
    assert codes(f"service s {{}}\n{entry}") == CALLERS[entry]


def lowered_callers(entry):
    """The entries of a set, whatever is wrong with it."""
    source = Source(path="a.policy", text=f"{HEAD}service cart {{}}\n{entry}\n")
    parsed = parse(source)
    environment, _ = gather([parsed])
    return lower_callers([parsed], environment, Numbers(), Resolver(environment=environment))


@pytest.mark.parametrize("who", ["nowhere/p", "nobody"])
def test_an_unknown_caller_has_no_entry(who):
    entries, diagnostics = lowered_callers(f"caller {who}, prod/p fronts cart may assert itself")

    assert len(entries) == 1
    assert len(diagnostics) == 1


@pytest.mark.parametrize(
    ("entry", "help_"),
    [
        ("caller prod/p fronts cart supplies sourc, tls", "did you mean `source`?"),
        ("caller prod/p fronts cart supplies tls, zzzzzzzz", "declare an attribute of that family"),
        ("caller prod/p fronts cart supplies tls, mesh", "declare an attribute of that family"),
        ("caller prod/p fronts cart, carts supplies tls", "did you mean `cart`?"),
        ("caller prod/p fronts zzzzzzzz, cart supplies tls", "declare it: `service NAME { ... }`"),
        ('caller prod/p fronts cart, "{x}" supplies tls', "bind it in the caller's own pattern: "),
    ],
)
def test_what_is_not_known_is_left_out_of_an_entry_and_help_is_given(entry, help_):
    (only,), (problem,) = lowered_callers(entry)

    assert problem.help.startswith(help_)
    assert (only.services, only.templates, only.supplies) == (frozenset({"cart"}), (), frozenset({"tls"}))


def test_a_service_whose_own_statement_is_damaged_is_not_called_unknown():
    assert codes("service t { allow anyone GET /x }\nservice s {}\ncaller prod/p fronts t") == ["PDP101"]


def test_an_issuer_whose_own_statement_is_damaged_is_not_called_unknown():
    text = "issuer nowhere =\nservice s { allow anyone on behalf of nowhere/x to GET /x }"

    assert codes(text) == ["PDP101"]


def test_an_entry_with_several_callers_is_one_for_each():
    loaded = load("service s {}\ncaller prod/a, dev/x fronts s may assert itself")

    first, second = loaded.snapshot.callers
    assert first.who != second.who
    assert first.services == second.services == frozenset({"s"})


def test_the_parts_of_a_caller_entry():
    loaded = load(
        'service s {}\ncaller prod/{a}/{b} fronts s, "{b}-{a}.x" '
        "may assert itself, prod/* may explain supplies tls"
    )
    (entry,) = loaded.snapshot.callers

    assert entry.services == frozenset({"s"})
    assert [template.fill(("p", "q")) for template in entry.templates] == ["q-p.x"]
    assert (entry.itself, entry.claims, entry.explain, entry.supplies) == (
        True,
        False,
        True,
        frozenset({"tls"}),
    )
    assert len(entry.asserts) == 1


# -- who is meant -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("prod/**", "any principal of prod"),
        ("prod/a", '"spiffe://prod.test/a"'),
        ("sa prod/web/frontend", "prod/ns/web/sa/frontend"),
        ("namespace prod/web", "prod/ns/web/sa/*"),
        ("prod/{n}", "prod/*"),
        ("pair", "trio"),
        ("lone", "prod/a"),
        ("outer", "prod/a"),
        ("only", "pair"),
    ],
)
def test_terms_that_mean_the_same_share_one_atom(one, other):
    groups = "group pair = { prod/a, prod/b }\ngroup trio = { prod/b, prod/a, prod/a }\n"
    groups += "group lone = { prod/a }\ngroup outer = { lone, prod/a }\ngroup only = { trio }\n"
    index = index_of(f"{groups}service s {{ allow {one} to GET /x\nallow {other} to GET /y }}")

    first, second = index.service("s").columns.atoms

    assert first == second


@pytest.mark.parametrize("term", ["prod/a", "sa prod/web/frontend", "lone", "dns vm.test"])
def test_a_term_without_a_wildcard_names_one_principal(term):
    index = index_of(f"group lone = {{ prod/a }}\nservice s {{ allow {term} to GET /x }}")

    assert len(index.principals.known) == 1


@pytest.mark.parametrize(
    ("groups", "found"),
    [
        ("group g = { nowhere/a }", ["PDP219"]),
        ("group g = { nobody }", ["PDP221"]),
        ("group g = { any principal of nowhere }", ["PDP219"]),
        ("group none = {}\ngroup g = { prod/a, prod/b except none }", ["PDP223"]),
        ("group none = {}\ngroup g = { none }", ["PDP223"]),
        ("group g = { prod/a except prod/a }", ["PDP223"]),
    ],
)
def test_a_mistake_in_a_group_is_said_once_and_not_that_the_group_is_empty(groups, found):
    assert codes(f"{groups}\nservice s {{ deny anyone except g to GET /x }}") == found


def test_of_a_rule_whose_exceptions_are_wrong_nothing_more_is_said():
    one = 'allow prod/a except nobody to GET /x set header x-a = "1"'
    other = 'allow prod/a to GET /x set header x-a = "2"'

    assert codes(f"service s {{ {one}\n{other} }}") == ["PDP221"]


# -- names that are given twice -----------------------------------------------------------------


def test_the_second_name_of_a_trust_domain_is_not_called_unknown_as_well():
    text = 'trust domain again = "prod.test"\nservice s { allow again/a to GET /x }'

    assert codes(text) == ["PDP202"]


def test_a_trust_domain_that_is_declared_twice_hides_no_other_mistake():
    text = 'trust domain prod = "prod.test"\nservice s { allow prod to GET /x }'

    assert sorted(codes(text)) == ["PDP202", "PDP221"]


def test_a_name_that_is_given_three_times_is_compared_with_the_first():
    found = load("service s {}", "service s {}", "service s {}").diagnostics

    assert [(d.code, d.span.file, d.related[0][0].file) for d in found] == [
        ("PDP201", "f1.policy", "f0.policy"),
        ("PDP201", "f2.policy", "f0.policy"),
    ]


@pytest.mark.parametrize("shadow", ["", "shadow "])
@pytest.mark.parametrize("effect", ["allow", "deny"])
def test_a_rule_is_told_with_its_effect_and_whether_it_is_a_shadow(effect, shadow):
    index = service(f"{shadow}{effect} anyone to GET /x")

    (number,) = index.service("s").columns.rules
    told = index.rule("s", number)

    assert (told.effect.value, told.shadow) == (effect, bool(shadow))
