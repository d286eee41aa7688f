"""Whoever writes an address in another way writes to the same person; and never to another one."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.email_address import normalise_email


@pytest.mark.parametrize(
    ("written", "kept"),
    [
        ("  Ada@BigCorp.Example ", "ada@bigcorp.example"),
        ("ada@bigcorp.example.", "ada@bigcorp.example"),
        ("ada@MÜNCHEN.de", "ada@xn--mnchen-3ya.de"),
        ("ada@mu\u0308nchen.de", "ada@xn--mnchen-3ya.de"),
        ("ada@XN--MNCHEN-3YA.de", "ada@xn--mnchen-3ya.de"),
        ("ada@日本語。jp", "ada@xn--wgv71a119e.jp"),
        ("jo\u0308rg@a.de", "j\u00f6rg@a.de"),
        ("ada@a\u00adb.de", "ada@ab.de"),
    ],
)
def test_one_address_has_one_form(written: str, kept: str) -> None:
    assert normalise_email(written) == kept


@pytest.mark.parametrize(
    ("first", "second"), [("faß.de", "fass.de"), ("βόλος.gr", "βόλοσ.gr"), ("نامه\u200cای.ir", "نامهای.ir")]
)
def test_domains_that_idna_2008_tells_apart_are_two(first: str, second: str) -> None:
    assert normalise_email(f"a@{first}") != normalise_email(f"a@{second}")
    assert normalise_email("a@faß.de") == normalise_email("a@xn--fa-hia.de")


@pytest.mark.parametrize(
    ("written", "kept"),
    [
        ("ada@☃.net", "ada@xn--n3h.net"),  # refused by IDNA 2008; registered under IDNA 2003
        (f"ada@{'É' * 64}.de", f"ada@{'é' * 64}.de"),  # no label of the DNS at all
    ],
)
def test_a_domain_that_is_refused_is_kept_all_the_same(written: str, kept: str) -> None:
    assert normalise_email(written) == kept


@pytest.mark.parametrize(
    "written",
    [
        "",
        "a",
        "@a.de",
        "a@",
        "a@b@c.de",
        "a@b\uff20c.de",
        "a@℀.de",
        "a@é..de",
        "a@.de",
        "a@é b.de",
        "a b@c.de",
    ],
)
def test_what_is_no_address_is_none(written: str) -> None:
    assert normalise_email(written) is None


@given(st.text(max_size=20), st.text(min_size=1, max_size=20))
def test_what_is_kept_is_found_by_what_is_kept(local: str, domain: str) -> None:
    kept = normalise_email(f"{local}@{domain}")
    assert kept is None or normalise_email(kept) == kept
