"""Settings about tokens: refused with the line at fault, or they come to whom we believe."""

import json
import re
from pathlib import Path

import pytest

from pdp.compiler import declarations
from pdp.config import values
from pdp.config.load import load_identity_settings, load_settings
from pdp.config.model import Settings
from pdp.config.tokens import token_trust
from pdp.diagnostics import Source
from pdp.identity.bundle import LiveBundles, SpiffeBundle
from pdp.identity.tokens.jwks import KeySetKind, key_set
from pdp.identity.tokens.signature import ALGORITHMS, JWT_SVID_ALGORITHMS
from tests.config.test_config_command import PAGE, check
from tests.config.test_config_command import folder as folder  # noqa: PLC0414 - a fixture
from tests.identity.tokens import AUDIENCE, DOMAIN, ISSUER, ec_key, rsa_key

KEY = ec_key().named("a")
SET = json.dumps({"keys": [KEY]})
HEAD = f'[issuers."{ISSUER}"]\naudiences = ["{AUDIENCE}"]\n'
BUNDLE = f'[jwt_bundles."{DOMAIN}"]\naudiences = ["{AUDIENCE}"]\n'
BASE = '[policies]\npath = "policies"\n[http]\ncertificate = "c"\nkey = "k"\n[trust]\n"a" = "r"\n'


def loaded(text: str):
    return load_settings(Source(path="pdp.toml", text=BASE + text), {}, {})


def settings(text: str) -> Settings:
    found = loaded(text)
    assert found.settings is not None, found.diagnostics
    return found.settings


def keys_of(text: str) -> tuple[list[str | None], list[tuple[str, str, bool]]]:
    """The names of all keys that are believed, and what is said of others."""
    believed, problems = token_trust(settings(text))
    trust = believed.now()
    issuers = [*trust.issuers.values(), *trust.bundles.values()]
    said = [(".".join(each.setting), each.message, each.refused) for each in problems]
    return [key.key_id for each in issuers for key in each.keys.keys], said


# -- what they come to -----------------------------------------------------------------


MEMBERS = [f'{name} = "{value}"' for name, value in KEY.items()]
TABLE = f"{{ {', '.join(MEMBERS)} }}"


@pytest.mark.parametrize(
    "keys",
    [
        f"jwks = '{SET}'",
        f"jwks = '''\n{SET}\n'''",
        f"jwks = {{ keys = [ {TABLE} ] }}",
        "\n".join([f'[[issuers."{ISSUER}".jwks.keys]]', *MEMBERS]),
        f"jwks.keys = [ {TABLE} ]",
    ],
)
def test_keys_stand_in_the_settings_as_json_or_as_tables(keys: str) -> None:
    assert keys_of(f"{HEAD}{keys}\n") == (["a"], [])


def test_keys_stand_in_files_relative_to_that_of_the_settings(tmp_path: Path) -> None:
    (tmp_path / "keys.json").write_text(SET)
    (tmp_path / "bundle.json").write_text(json.dumps({"keys": [{**KEY, "kid": "b", "use": "jwt-svid"}]}))
    text = f'{HEAD}jwks_file = "keys.json"\n{BUNDLE}bundle_file = "bundle.json"\n'

    found = load_identity_settings(Source(path="x", text=text), {}, folder=tmp_path)

    assert found.settings is not None
    believed, problems = token_trust(found.settings)
    trust = believed.now()
    assert problems == []
    assert [key.key_id for key in trust.issuers[ISSUER].keys.keys] == ["a"]
    assert [key.key_id for key in trust.bundles[DOMAIN].keys.keys] == ["b"]


def test_keys_are_those_of_the_contents_that_are_handed_over_and_not_of_the_file(tmp_path: Path) -> None:
    file = tmp_path / "keys.json"
    file.write_text("{")
    found = settings(f'{HEAD}jwks_file = "{file}"\n')

    believed, problems = token_trust(found, {file: SET.encode()})

    assert problems == []
    assert [key.key_id for key in believed.now().issuers[ISSUER].keys.keys] == ["a"]
    assert token_trust(found, {file: "cannot be read"})[1][0].message == f"{file}: cannot be read"


def test_what_is_not_set_has_its_default_and_what_is_set_holds() -> None:
    trust = token_trust(settings(f"{HEAD}jwks = '{SET}'\n{BUNDLE}bundle = '{SET}'\n"))[0].now()
    issuer, bundle = trust.issuers[ISSUER], trust.bundles[DOMAIN]

    assert (issuer.algorithms, bundle.algorithms) == (frozenset(ALGORITHMS), JWT_SVID_ALGORITHMS)
    assert {each.audiences for each in (issuer, bundle)} == {frozenset({AUDIENCE})}
    assert {(each.leeway, each.max_lifetime) for each in (issuer, bundle)} == {(10_000, None)}

    more = 'algorithms = ["ES256"]\nleeway_seconds = 1.5\nmax_lifetime_seconds = 60\n'
    trust = token_trust(settings(f"{HEAD}{more}jwks = '{SET}'\n"))[0].now()
    issuer = trust.issuers[ISSUER]
    assert (issuer.algorithms, issuer.leeway, issuer.max_lifetime) == (frozenset({"ES256"}), 1500, 60_000)


def test_a_key_set_that_cannot_be_read_takes_nobody_elses_keys_away(tmp_path: Path) -> None:
    other = f'[issuers."https://other.example.com"]\naudiences = ["x"]\njwks_file = "{tmp_path}/none.json"\n'

    keys, said = keys_of(f"{HEAD}jwks = '{SET}'\n{other}")

    assert keys == ["a"]
    ((setting, message, refused),) = said
    assert (setting, refused) == ("issuers.https://other.example.com.jwks_file", True)
    assert message.endswith("none.json: cannot be read: No such file or directory")


@pytest.mark.parametrize(
    ("document", "why"),
    [
        ("", "the key set is empty"),
        ("{}", "the key set has no list `keys`"),
        ('{"keys":[],"keys":[]}', "the key `keys` stands twice in one object"),
        (json.dumps({"keys": [{**KEY, "d": "c2VjcmV0"}]}), "private, for it has `d`"),
        ('{"keys":[{"kty":"oct"}]}', "symmetric"),
    ],
)
def test_a_set_that_is_refused_is_told(document: str, why: str) -> None:
    ((_, message, refused),) = keys_of(f"{HEAD}jwks = '{document}'\n")[1]

    assert refused
    assert why in message


def test_a_key_that_is_not_used_is_a_warning_and_so_is_a_set_without_keys() -> None:
    short = json.dumps({"keys": [KEY, rsa_key(1024).named("b")]})
    certificates = json.dumps(
        {"keys": [{"kty": "EC", "use": "x509-svid", "x5c": ["x"]}, {**KEY, "use": "jwt-svid"}]}
    )

    ((_, message, refused),) = keys_of(f"{HEAD}jwks = '{short}'\n")[1]
    assert (refused, "key 2 is not used: its modulus has 1024 bits" in message) == (False, True)
    assert keys_of(f"{BUNDLE}bundle = '{certificates}'\n") == (["a"], [])
    ((_, message, refused),) = keys_of(f"{HEAD}jwks = '{{\"keys\": []}}'\n")[1]
    assert (refused, "nothing verifies" in message) == (False, True)


def test_a_bundle_that_nobody_delivers_and_no_setting_names_is_refused() -> None:
    ((setting, message, refused),) = keys_of(BUNDLE)[1]

    assert (setting, refused) == (f"jwt_bundles.{DOMAIN}", True)
    assert message.endswith("name them by one of `bundle`, `bundle_file` and `bundle_url`")


def test_a_bundle_that_a_live_source_delivers_has_its_keys_as_they_come() -> None:
    live = LiveBundles([DOMAIN])
    believed, problems = token_trust(settings(BUNDLE), live=live.keys())
    before = believed.now().bundles[DOMAIN].keys

    keys = key_set({"keys": [{**KEY, "use": "jwt-svid"}]}, KeySetKind.BUNDLE)
    live.put([SpiffeBundle(trust_domain=DOMAIN, roots=(), keys=keys)])

    assert (problems, before.keys) == ([], ())
    assert "not delivered" in before.fault
    assert [key.key_id for key in believed.now().bundles[DOMAIN].keys.keys] == ["a"]


# -- what is refused -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "line", "said"),
    [
        (f'[issuers."{ISSUER}"]\njwks = \'{SET}\'\n', 1, "audiences` is not set"),
        (f"{HEAD}", 1, "name the keys by one of `jwks`, `jwks_file` and `jwks_url`"),
        (f"{HEAD}jwks = '{SET}'\njwks_file = \"x\"\n", 1, "name the keys by one of"),
        (f"{BUNDLE}bundle = '{SET}'\nbundle_file = \"x\"\n", 1, "name the keys by one of `bundle`"),
        (f"{HEAD}jwks = 1\n", 3, "a table, or a text that holds JSON"),
        (f"{HEAD}jwks = ['{SET}']\n", 3, "a table, or a text that holds JSON"),
        (f"{HEAD}jwks = '{SET}'\nalgorithms = []\n", 4, "at least 1 item"),
        (f"{HEAD}jwks = '{SET}'\nalgorithms = [\"none\"]\n", 4, "`none` is not accepted"),
        (f"{HEAD}jwks = '{SET}'\nalgorithms = [\"ES256\", \"HS256\"]\n", 4, "`HS256` is not accepted"),
        (f"{BUNDLE}bundle = '{SET}'\nalgorithms = [\"EdDSA\"]\n", 4, "`EdDSA` is not accepted"),
        (f"{HEAD}jwks = '{SET}'\nleeway_seconds = 60.5\n", 4, "less than or equal to 60"),
        (f"{HEAD}jwks = '{SET}'\nleeway_seconds = -1\n", 4, "greater than or equal to 0"),
        (f"{HEAD}jwks = '{SET}'\nleeway_seconds = nan\n", 4, "finite"),
        (f"{HEAD}jwks = '{SET}'\nmax_lifetime_seconds = 0\n", 4, "greater than or equal to 1"),
        (f"{HEAD}jwks = '{SET}'\naudience = \"x\"\n", 4, "there is no setting"),
        (f'[issuers."{ISSUER}"]\naudiences = []\njwks = \'{SET}\'\n', 2, "at least 1 item"),
        (f'[issuers."{ISSUER}"]\naudiences = [""]\njwks = \'{SET}\'\n', 2, "at least 1 character"),
        (f'[issuers."{ISSUER}"]\naudiences = "x"\njwks = \'{SET}\'\n', 2, "list, in brackets"),
        (f'[issuers.corp]\naudiences = ["x"]\njwks = \'{SET}\'\n', 1, "an issuer is the `iss`"),
        (f'[issuers."http://a.example"]\naudiences = ["x"]\njwks = \'{SET}\'\n', 1, "an issuer is the `iss`"),
        (f'[jwt_bundles."A"]\naudiences = ["x"]\nbundle = \'{SET}\'\n', 1, "is not a trust domain"),
        (f'[jwt_bundles."spiffe://a"]\naudiences = ["x"]\nbundle = \'{SET}\'\n', 1, "is not a trust domain"),
    ],
)  # fmt: skip
def test_a_mistake_is_told_with_its_line(text: str, line: int, said: str) -> None:
    found = loaded(text)

    assert found.settings is None
    (diagnostic,) = found.diagnostics
    assert said in diagnostic.message
    assert found.source.position(diagnostic.span.start)[0] == BASE.count("\n") + line


def test_the_command_tells_what_is_wrong_with_keys_at_their_line(folder: Path) -> None:
    text = f'{HEAD}jwks_file = "keys.json"\n'

    done = check(folder, more=text)
    assert done.exit_code == 1
    assert f"`issuers.{ISSUER}.jwks_file`" in done.output
    assert "jwks_file = " in done.output
    assert "^" in done.output

    (folder / "keys.json").write_text(SET)
    assert check(folder).exit_code == 0


def test_identity_settings_are_read_without_the_rest_and_beside_it() -> None:
    for text in (
        f"{HEAD}jwks = '{SET}'\n",
        f"{BASE}{HEAD}jwks = '{SET}'\n",
        f"[http]\nlisten = 7\n{HEAD}jwks = '{SET}'\n",
    ):
        found = load_identity_settings(Source(path="x", text=text), {})
        assert found.settings is not None
        assert list(found.settings.issuers) == [ISSUER]
    assert load_identity_settings(Source(path="x", text="[issuer]\n"), {}).settings is None
    assert load_identity_settings(Source(path="x", text="issuers = 1\n"), {}).settings is None


def test_an_issuer_is_what_the_language_has_it_be() -> None:
    assert values._ISSUER.pattern == declarations._ISSUER.pattern


def test_the_example_of_the_page_is_believed(folder: Path) -> None:
    (example,) = re.findall(r"^```toml tokens\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
    (folder / "login-keys.json").write_text(SET)
    (folder / "prod-bundle.json").write_text(json.dumps({"keys": [{**KEY, "use": "jwt-svid"}]}))

    done = check(folder, more=example)

    assert (done.exit_code, "warning" in done.output) == (0, False), done.output
