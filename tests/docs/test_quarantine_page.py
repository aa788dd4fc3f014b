"""What `docs/quarantine.md` has its reader do works, and its table of codes is that of the admin listener."""

import ast
import re
from pathlib import Path

from tests.docs.pages import MODULES, ROOT
from tests.docs.session import Session, steps

PAGE = (ROOT / "docs" / "quarantine.md").read_text(encoding="utf-8")


def test_its_commands_do_what_it_shows(tmp_path: Path) -> None:
    assert len(steps(PAGE)) > 5

    Session(tmp_path, {}).follow(PAGE)

    assert (tmp_path / "quarantine.json").read_text() == '{"entries": []}\n'


def test_its_table_has_every_code_of_the_admin_listener_and_no_other() -> None:
    raised = {
        call.args[1].value
        for module in ("pdp.adapters.admin", "pdp.adapters.admin_body")
        for call in ast.walk(MODULES[module])
        if isinstance(call, ast.Call)
        and ast.unparse(call.func) == "RefusedError"
        and isinstance(call.args[1], ast.Constant)
    } | {"gone", "lift_not_permitted", "quarantine_not_permitted"}
    table = PAGE.partition("| code | status | when |")[2].partition("\n\n")[0]
    rows = [row.split("|")[1] for row in table.splitlines() if row.count("|") > 3]
    listed = {code for row in rows for code in re.findall(r"`([a-z_]+)`", row)}

    assert listed == raised
