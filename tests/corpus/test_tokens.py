"""A corpus of tokens whose private keys nobody has any more, through the function and the command.

A case has a token, what it is refused by (`code`; empty where it is accepted) and why, in our own words.
Who is believed stands in `tokens.toml`. All are as of one instant.
"""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from pdp.cli.identity import identity
from pdp.config.load import load_identity_settings, read_file
from pdp.config.tokens import token_trust
from pdp.identity.tokens.issuer import TokenTrust
from pdp.identity.tokens.refusal import RefusedTokenError, TokenRefusal
from tests.identity.tokens import verify_text

HERE = Path(__file__).parent
CASES = [json.loads(line) for line in (HERE / "tokens.jsonl").read_text("ascii").splitlines()]
AT, NOW = "2027-01-15T08:00:00Z", 1_800_000_000_000
assert len({case["id"] for case in CASES}) == len(CASES) > 90, (
    "the corpus was not found, or an id stands twice"
)


@pytest.fixture(scope="module")
def trust() -> TokenTrust:
    settings = load_identity_settings(read_file(HERE / "tokens.toml"), {}).settings
    assert settings is not None
    return token_trust(settings)[0].now()


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["id"])
def test_a_token_comes_to_what_the_corpus_says(case: dict, trust: TokenTrust) -> None:
    code = ""
    try:
        verify_text(case["jwt"], trust, NOW)
    except RefusedTokenError as error:
        code = error.code.value

    assert code == case["code"], case["why"]


def test_the_command_says_the_same_of_all_of_them() -> None:
    lines = "\n".join(json.dumps({"jwt": case["jwt"]}) for case in CASES)
    arguments = ["explain", "--batch", "-", "--config", str(HERE / "tokens.toml"), "--at", AT]

    done = CliRunner().invoke(identity, arguments, input=lines)

    answers = [json.loads(line) for line in done.stdout.splitlines()]
    assert [answer["accepted"] for answer in answers] == [not case["code"] for case in CASES]
    assert [answer["parts"].get("code", "") for answer in answers] == [case["code"] for case in CASES]


def test_every_refusal_has_a_case() -> None:
    missed = {refusal.value for refusal in TokenRefusal} - {case["code"] for case in CASES}

    # Nobody's who believes somebody; and what a cluster says itself.
    assert missed == {"no_issuers", "review"}
