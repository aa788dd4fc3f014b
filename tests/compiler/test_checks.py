"""What only the whole set shows: rules of one service whose names, words or headers collide across files."""

from tests.docs.sets import load

HEAD = "language 1\n"
DOMAIN = 'language 1\ntrust domain prod = "prod.example.org"\nservice s {}\n'


def codes(files):
    return [(d.code, d.span.file, [span.file for span, _ in d.related]) for d in load(files).diagnostics]


def test_two_files_of_the_platform_do_not_give_one_name_twice():
    files = {
        "a.policy": DOMAIN + "deny anyone to GET /x on any service as closed\n",
        "b.policy": HEAD + "deny anyone to GET /y on s as closed\n",
    }

    assert codes(files) == [("PDP226", "b.policy", ["a.policy"])]


def test_the_diagnostic_stands_at_the_name():
    text = HEAD + "deny anyone to GET /y on s as closed\n"
    files = {"a.policy": DOMAIN + "deny anyone to GET /x on any service as closed\n", "b.policy": text}

    (diagnostic,) = load(files).diagnostics

    assert text[diagnostic.span.start : diagnostic.span.end] == "closed"
    ((first, _),) = diagnostic.related
    assert files["a.policy"][first.start : first.end] == "closed"


def test_a_name_of_the_platform_is_free_in_a_service():
    files = {
        "a.policy": DOMAIN + "deny anyone to GET /x on any service as closed\n",
        "b.policy": HEAD + "service t { deny anyone to GET /x as closed }\n",
    }

    assert codes(files) == []


def test_a_name_of_a_service_is_free_among_the_rules_of_the_platform():
    files = {
        "a.policy": DOMAIN
        + "service t { deny anyone to GET /x as closed }\ndeny anyone to GET /y on s as own\n",
        "b.policy": HEAD + "deny anyone to GET /z on s as closed\n",
    }

    assert codes(files) == []


def test_two_files_of_the_platform_say_the_same():
    files = {
        "a.policy": DOMAIN + "deny anyone to GET /x on s\n",
        "b.policy": HEAD + "deny anyone to GET /x on s\n\ndeny anyone to GET /x on s\n",
        "c.policy": HEAD + "deny anyone to GET /x on any service\n",
    }

    assert codes(files) == [("PDP403", "b.policy", ["a.policy"]), ("PDP403", "b.policy", ["b.policy"])]


def test_a_line_of_a_table_says_what_the_service_says():
    files = {
        "a.policy": 'language 1\ntrust domain prod = "prod.example.org"\n'
        'service s {\n allow prod/a to GET /x\n allow from "t.csv"\n}\n',
        "t.csv": "principal,methods,path\nprod/b,GET,/x\nprod/a,GET,/x\n",
    }

    assert codes(files) == [("PDP403", "t.csv", ["a.policy"])]


def test_of_very_many_contradictions_some_are_shown():
    rules = "".join(f'allow anyone to GET /x/{n}/** set header x-a = "{n}"\n' for n in range(60))
    other = 'allow anyone to GET /** set header x-a = "other"\n'
    found = codes({"a.policy": f"language 1\nservice s {{\n{rules}{other}}}\n"})

    assert found == [("PDP341", "a.policy", ["a.policy"])] * 50


TABLE = 'language 1\ntrust domain prod = "prod.example.org"\n'


def shown(files):
    """Each diagnostic with the text that it stands at, and that of what it refers to."""
    return [
        (
            d.code,
            *(files[span.file][span.start : span.end] for span in (d.span, *(at for at, _ in d.related))),
        )
        for d in load(files).diagnostics
    ]


def test_what_repeats_a_line_of_a_table_is_the_whole_line():
    files = {
        "a.policy": TABLE + 'service s {\n allow from "t.csv"\n}\n',
        "t.csv": "principal,methods,path\r\nprod/a,GET,/x\r\nprod/b,GET,/y\r\n prod/a , GET , /x \r\n",
    }

    assert shown(files) == [("PDP403", " prod/a , GET , /x ", "prod/a,GET,/x")]


def test_a_path_of_a_table_that_is_not_in_lower_case_is_the_cell():
    files = {
        "a.policy": TABLE + 'service s {\n paths may have any-case\n allow from "t.csv"\n}\n',
        "t.csv": 'principal,methods,path\nprod/a,GET,/x\nprod/b,GET POST,"/X/{id}"\n',
    }

    assert shown(files) == [("PDP342", '"/X/{id}"')]


def test_what_contradicts_a_line_of_a_table_is_the_whole_line():
    files = {
        "a.policy": TABLE
        + 'service s {\n allow prod/a to GET /x set header x-a = "1"\n'
        + ' allow from "t.csv" set header x-a = "2"\n}\n',
        "t.csv": "principal,methods,path\nprod/b,GET,/x\nprod/a,GET,/x\n",
    }

    assert shown(files) == [("PDP341", "prod/a,GET,/x", "allow prod/a to GET /x")]


def test_the_name_of_a_table_is_given_once_in_the_statement():
    files = {
        "a.policy": TABLE + 'service s {\n allow prod/a to GET /x as n\n allow from "t.csv" as n\n}\n',
        "t.csv": "principal,methods,path\nprod/b,GET,/x\nprod/b,GET,/y\n",
    }

    assert shown(files) == [("PDP226", "n", "n")]
    assert [d.span.file for d in load(files).diagnostics] == ["a.policy"]


def test_of_several_statements_that_read_a_table_the_one_that_gives_the_name_is_shown():
    text = (
        TABLE
        + 'service s {\n allow prod/a to GET /x as n\n allow from "t.csv"\n'
        + ' allow from "t.csv" as m when has header.m\n allow from "t.csv" as n when has header.n\n}\n'
    )
    files = {"a.policy": text, "t.csv": "principal,methods,path\nprod/b,GET,/x\n"}

    found = [d for d in load(files).diagnostics if d.code == "PDP226"]

    assert [d.span.start for d in found] == [text.rindex("n when")]
