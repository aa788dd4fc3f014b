"""Key sets that are fetched: when they are looked at, and what stays when that brings nothing."""

import json
import threading
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest
from click.testing import CliRunner

from pdp.cli.identity import identity
from pdp.config.load import load_identity_settings
from pdp.config.tokens import token_trust
from pdp.diagnostics import Source
from pdp.identity.fetch import FetchError
from pdp.identity.tokens import remote_keys as module
from pdp.identity.tokens.issuer import TokenProfile
from pdp.identity.tokens.jwks import KeySetKind
from pdp.identity.tokens.live_trust import LiveTrust
from pdp.identity.tokens.refusal import RefusedTokenError
from pdp.identity.tokens.remote_keys import RemoteKeys
from pdp.limits import KEYS_DUE_SECONDS, KEYS_PAUSE_SECONDS, MAX_KEYS_SECONDS
from pdp.service.known_tokens import KnownTokens
from tests.identity.mint import DAY, authority
from tests.identity.publishing import pair, publishing
from tests.identity.tokens import AUDIENCE, ISSUER, NOW, bundle, claims, ec_key, issuer, token, trust

OLD, NEW = ec_key(), ec_key(which=1)


class Origin:
    """What is published, at seconds that the test sets."""

    def __init__(self, *jwks: dict) -> None:
        self.document = self.of(*jwks)
        self.seconds = 0.0
        self.looks = 0

    @staticmethod
    def of(*jwks: dict) -> bytes:
        return json.dumps({"keys": list(jwks)}).encode()

    def __call__(self) -> bytes:
        self.looks += 1
        if not self.document:
            raise FetchError("https://keys.example: away")
        return self.document

    def keys(self) -> RemoteKeys:
        return RemoteKeys(self, KeySetKind.ISSUER, lambda: self.seconds)


def names(found) -> list[str | None]:
    return [key.key_id for key in found.keys]


# -- when the source is looked at ------------------------------------------------------


def test_nothing_is_fetched_until_somebody_asks() -> None:
    origin = Origin(OLD.named("a"))
    keys = origin.keys()

    assert (keys.current().fault, origin.looks) == ("they have not been fetched yet", 0)
    assert (names(keys.latest()), origin.looks) == (["a"], 1)
    assert (names(keys.current()), keys.problem, origin.looks) == (["a"], "", 1)


def test_a_set_is_looked_at_again_when_it_is_due() -> None:
    origin = Origin(OLD.named("a"))
    keys = origin.keys()
    keys.latest("a")
    origin.document = origin.of(NEW.named("b"))

    origin.seconds = KEYS_DUE_SECONDS - 0.1
    assert (names(keys.latest("a")), origin.looks) == (["a"], 1)
    origin.seconds = KEYS_DUE_SECONDS
    assert (names(keys.latest("a")), origin.looks) == (["b"], 2)


def test_a_name_that_is_new_is_looked_for_once() -> None:
    origin = Origin(OLD.named("a"))
    keys = origin.keys()
    keys.latest("a")
    origin.document = origin.of(OLD.named("a"), NEW.named("b"))

    origin.seconds = KEYS_PAUSE_SECONDS
    assert (names(keys.latest("b")), origin.looks) == (["a", "b"], 2)
    assert (names(keys.latest("b")), origin.looks) == (["a", "b"], 2)


def test_names_that_are_made_up_cost_a_look_now_and_then() -> None:
    origin = Origin(OLD.named("a"))
    keys = origin.keys()

    for step in range(1000):
        origin.seconds = step * KEYS_PAUSE_SECONDS / 100
        keys.latest(f"made-up-{step}")

    assert origin.looks == 10


def test_a_source_that_is_away_is_not_asked_all_the_time() -> None:
    origin = Origin()
    origin.document = b""
    keys = origin.keys()

    for step in range(1000):
        origin.seconds = step * KEYS_PAUSE_SECONDS / 100
        assert keys.latest("a").fault == "https://keys.example: away"

    assert (origin.looks, bool(keys.problem)) == (10, True)


def test_of_several_that_come_at_once_one_looks_and_all_get_what_it_finds() -> None:
    origin = Origin(OLD.named("a"))
    keys = origin.keys()
    keys.latest()
    origin.seconds = KEYS_PAUSE_SECONDS
    slow, found = threading.Event(), []

    def publish() -> bytes:
        origin.looks += 1
        slow.wait(20)
        return origin.of(NEW.named("b"))

    keys._source = publish
    threads = [threading.Thread(target=lambda: found.append(names(keys.latest("b")))) for _ in range(8)]
    for thread in threads:
        thread.start()
    time.sleep(0.2)
    slow.set()
    for thread in threads:
        thread.join()

    assert (found, origin.looks) == ([["b"]] * 8, 2)


# -- what a bad update does ------------------------------------------------------------


@pytest.mark.parametrize(
    "document",
    [
        b"",
        b"<html>",
        b"{}",
        b'{"keys":{}}',
        b'{"keys":[],"keys":[]}',
        b'{"keys":[{"kty":"oct","k":"AA"}]}',
        b"\xff",
    ],
)
def test_a_bad_update_keeps_the_last_good_one_until_it_is_too_old(document: bytes) -> None:
    origin = Origin(OLD.named("a"))
    keys = origin.keys()
    keys.latest()
    origin.document = document

    origin.seconds = MAX_KEYS_SECONDS - 1
    assert names(keys.latest("b")) == ["a"]
    assert (origin.looks, bool(keys.problem)) == (2, True)

    origin.seconds = MAX_KEYS_SECONDS
    assert (names(keys.current()), "for too long" in keys.current().fault) == ([], True)

    origin.seconds += KEYS_PAUSE_SECONDS
    origin.document = origin.of(NEW.named("b"))
    assert (names(keys.latest()), keys.problem) == (["b"], "")


def test_a_set_that_was_emptied_revokes_all() -> None:
    origin = Origin(OLD.named("a"))
    keys = origin.keys()
    keys.latest()
    origin.document, origin.seconds = origin.of(), KEYS_DUE_SECONDS

    assert (names(keys.latest()), keys.current().fault) == ([], "")


# -- tokens ----------------------------------------------------------------------------


def live(origin: Origin) -> LiveTrust:
    return LiveTrust(trust(issuer(), bundle(OLD.named("a"))), {(TokenProfile.OIDC, ISSUER): origin.keys()})


def test_no_good_token_is_refused_while_keys_are_renewed_and_a_removed_key_ends_what_it_signed() -> None:
    origin = Origin(OLD.named("a"))
    believed = live(origin)
    known = KnownTokens(believed.now, believed.latest)
    by_old = token({"alg": "ES256", "kid": "a"}, claims(), OLD)
    by_new = token({"alg": "ES256", "kid": "b"}, claims(), NEW)

    assert [known.find(by_old, NOW).key_id for _ in range(3)] == ["a"] * 3
    origin.document, origin.seconds = origin.of(OLD.named("a"), NEW.named("b")), 60
    assert [known.find(by_new, NOW).key_id, known.find(by_old, NOW).key_id] == ["b", "a"]
    assert origin.looks == 2

    origin.document, origin.seconds = origin.of(NEW.named("b")), 60 + KEYS_DUE_SECONDS
    believed.latest(believed.now().issuers[ISSUER], None)
    assert known.find(by_new, NOW).key_id == "b"
    with pytest.raises(RefusedTokenError, match="no key `a`"):
        known.find(by_old, NOW)


def test_a_set_that_nobody_confirms_any_more_ends_what_is_remembered() -> None:
    origin = Origin(OLD.named("a"))
    believed = live(origin)
    known = KnownTokens(believed.now, believed.latest)
    text = token({"alg": "ES256", "kid": "a"}, claims(), OLD)
    known.find(text, NOW)
    origin.document, origin.seconds = b"", MAX_KEYS_SECONDS

    with pytest.raises(RefusedTokenError, match="too long"):
        known.find(text, NOW)


def test_what_did_not_change_is_the_same() -> None:
    origin = Origin(OLD.named("a"))
    believed = live(origin)
    believed.latest(believed.now().issuers[ISSUER], None)

    assert believed.now() is believed.now()
    assert believed.latest(believed.now().issuers[ISSUER], None) is believed.now().issuers[ISSUER]


def test_others_keep_their_keys() -> None:
    origin = Origin()
    origin.document = b""
    believed = live(origin)

    now = believed.now()

    assert names(now.bundles["prod.example.org"].keys) == ["a"]
    assert believed.latest(now.bundles["prod.example.org"], "x") is now.bundles["prod.example.org"]
    assert now.issuers[ISSUER].keys.fault


# -- settings and the command ----------------------------------------------------------


def test_the_command_fetches_the_keys_of_the_tokens_issuer_and_no_others(tmp_path: Path) -> None:
    texts = [
        token({"alg": "ES256", "kid": "a"}, claims(), OLD),
        token({"alg": "ES256", "kid": "made-up"}, claims(), OLD),
        token({"alg": "ES256", "kid": "a"}, claims(iss="https://unknown.example.com"), OLD),
        "nonsense",
    ]
    with publishing(tmp_path) as publisher:
        publisher.document = Origin.of(OLD.named("a"))
        (tmp_path / "pdp.toml").write_text(
            f'[issuers."{ISSUER}"]\naudiences = ["{AUDIENCE}"]\njwks_url = "{publisher.url}"\n'
            f'jwks_ca_file = "roots.pem"\n[issuers."https://other.example.com"]\naudiences = ["x"]\n'
            'jwks_url = "https://nobody.invalid/"\n'
        )
        arguments = [
            "explain",
            "--batch",
            "-",
            "--config",
            str(tmp_path / "pdp.toml"),
            "--at",
            "2027-01-15T08:00Z",
        ]
        lines = "\n".join(json.dumps({"jwt": text}) for text in texts)

        done = CliRunner().invoke(identity, arguments, input=lines)
        looks = len(publisher.asked)
        nothing = CliRunner().invoke(identity, arguments, input=json.dumps({"jwt": texts[2]}))

        publisher.document = b"nonsense"
        broken = CliRunner().invoke(identity, arguments, input=lines)

    answers = [json.loads(line) for line in done.stdout.splitlines()]
    codes = [answer["parts"].get("code") for answer in answers]
    assert codes == [None, "unknown_key", "unknown_issuer", "malformed"], done.output
    assert looks == 1
    assert (nothing.exit_code, len(publisher.asked)) == (0, 2)
    first = json.loads(broken.stdout.splitlines()[0])
    assert (first["accepted"], first["parts"]["code"]) == (False, "key_set")
    assert "the key set is not JSON" in first["reason"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('jwks_url = "http://a.example/"\n', "write `https://HOST/PATH`"),
        ('jwks_url = "https://a.example/"\njwks_file = "x"\n', "name the keys by one of"),
        ('jwks = "{}"\njwks_ca_file = "x"\n', "`jwks_ca_file` is for `jwks_url` alone"),
    ],
)
def test_a_mistake_about_urls_is_told(text: str, said: str) -> None:
    found = load_identity_settings(
        Source(path="x", text=f'[issuers."{ISSUER}"]\naudiences = ["x"]\n{text}'), {}
    )

    (diagnostic,) = found.diagnostics
    assert said in diagnostic.message


@pytest.mark.parametrize(
    ("content", "said"), [(None, "No such file"), (b"nothing", "there are no certificates in it")]
)
def test_roots_that_cannot_be_read_are_told_and_nothing_is_fetched(
    tmp_path: Path, content: bytes | None, said: str
) -> None:
    if content is not None:
        (tmp_path / "roots.pem").write_bytes(content)
    text = (
        f'[issuers."{ISSUER}"]\naudiences = ["x"]\njwks_url = "https://nobody.invalid/"\n'
        'jwks_ca_file = "roots.pem"\n'
    )
    settings = load_identity_settings(Source(path="x", text=text), {}, folder=tmp_path).settings
    assert settings is not None

    believed, ((setting, message, *_),) = token_trust(settings)

    assert setting == ("issuers", ISSUER, "jwks_ca_file")
    assert said in message
    assert said in believed.latest(believed.now().issuers[ISSUER], "a").keys.fault


@pytest.mark.parametrize(
    ("table", "key", "use"),
    [(f'issuers."{ISSUER}"', "jwks", "sig"), ('jwt_bundles."prod.example.org"', "bundle", "jwt-svid")],
)
def test_the_roots_of_whoever_publishes_keys_are_renewed_without_a_restart(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, table: str, key: str, use: str
) -> None:
    monkeypatch.setattr(module, "KEYS_PAUSE_SECONDS", 0.0)
    with publishing(tmp_path) as publisher:
        publisher.document = Origin.of(OLD.named("a", use=use))
        text = f'[{table}]\naudiences = ["x"]\n{key}_url = "{publisher.url}"\n{key}_ca_file = "roots.pem"\n'
        settings = load_identity_settings(Source(path="x", text=text), {}, folder=tmp_path).settings
        assert settings is not None
        ((_, keys),) = token_trust(settings)[0].remote.items()
        assert names(keys.latest()) == ["a"]
        root = authority("next", start=datetime.now(UTC) - DAY, end=datetime.now(UTC) + DAY)
        publisher.present(pair(tmp_path, root))
        publisher.document = Origin.of(NEW.named("b", use=use))

        assert names(keys.latest("b")) == ["a"]
        assert "its server is not who it should be" in keys.problem
        publisher.roots.write_bytes(b"")  # while it is written over
        assert names(keys.latest("b")) == ["a"]
        publisher.roots.write_bytes(root.pem)
        assert names(keys.latest("b")) == ["b"]


def test_a_change_of_a_key_file_looks_at_no_roots_and_leaves_fetched_keys_as_they_are(tmp_path: Path) -> None:
    file, roots = tmp_path / "keys.json", tmp_path / "roots.pem"
    file.write_bytes(Origin.of(OLD.named("a")))
    roots.write_bytes(authority("root").pem)
    text = f'[issuers."{ISSUER}"]\naudiences = ["x"]\njwks_file = "keys.json"\n' + "".join(
        f'[{table}]\naudiences = ["x"]\n{more}'
        f'{key}_url = "https://nobody.invalid/"\n{key}_ca_file = "roots.pem"\n'
        for table, key, more in (
            ('issuers."https://other.example.com"', "jwks", ""),
            ('jwt_bundles."prod.example.org"', "bundle", ""),
            ('clusters."https://east.example.org"', "jwks", 'trust_domain = "east.example.org"\n'),
        )
    )
    settings = load_identity_settings(Source(path="x", text=text), {}, folder=tmp_path).settings
    assert settings is not None
    believed = token_trust(settings)[0]
    assert len(believed.remote) == 3
    roots.write_bytes(b"nonsense")

    fresh, problems = token_trust(settings, {file: Origin.of(NEW.named("b"))})
    believed.replace(fresh.now())

    assert problems == []
    assert fresh.remote == {}
    now = believed.now()
    assert names(now.issuers[ISSUER].keys) == ["b"]
    assert (
        now.bundles["prod.example.org"].keys
        == believed.remote[TokenProfile.SPIFFE, "prod.example.org"].current()
    )
