"""Hostile text and secrets."""

from __future__ import annotations

import pytest

from parity.report.text import (
    names_a_secret,
    one_line,
    redacted,
    visible,
    with_code,
    without_secrets,
    without_verdict,
)
from tests import report_samples as samples


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a\x07b", "a<U+0007>b"),
        ("a\x00b\x7fc\x9bd", "a<U+0000>b<U+007F>c<U+009B>d"),
        ("x\u202egpj.exe", "x<U+202E>gpj.exe"),
        ("\u2066a\u2069", "<U+2066>a<U+2069>"),
        ("\ufeffa\u200bb", "<U+FEFF>a<U+200B>b"),
        ("\ud800", "<U+D800>"),
        ("two\r\nlines", "two\nlines"),
        ("two\rlines", "two<U+000D>lines"),
        (
            "\u0645\u0634\u0627\u0629 \U0001f6b2\u200d\u2642",
            "\u0645\u0634\u0627\u0629 \U0001f6b2\u200d\u2642",
        ),
    ],
)
def test_unseen_characters_become_visible(text: str, shown: str) -> None:
    assert visible(text) == shown


def test_one_line_has_no_line_feed() -> None:
    assert one_line("a\n  expected: b\n") == "a expected: b"


@pytest.mark.parametrize(
    "text",
    [
        "grpc://ops:hunter2@10.0.0.7:8001",
        "https://hunter2@host/x",
        "parity run --token hunter2 --limit-images 5",
        "parity run --api-key=hunter2",
        "TRITON_TOKEN=hunter2 parity run",
        "--password 'hunter2'",
        "https://bucket/x.pt?X-Amz-Signature=hunter2&y=1",
        "Authorization: Bearer hunter2hunter2",
        '{"client_secret": "hunter2"}',
    ],
)
def test_secrets_are_redacted(text: str) -> None:
    assert "hunter2" not in redacted(text)
    assert "[redacted]" in redacted(text)


@pytest.mark.parametrize(
    "text",
    ["unexpected token at line 3", "mail a@b.example", "grpc://10.0.0.7:8001", "basic check", "a: 5 %"],
)
def test_ordinary_text_is_left_alone(text: str) -> None:
    assert redacted(text) == text


def test_secret_keys() -> None:
    assert all(
        map(names_a_secret, ("password", "api_key", "apiKey", "TRITON_TOKEN", "db-password", "accessKey"))
    )
    assert not any(map(names_a_secret, ("tokenizer", "weights", "public", "keyboard", "sha256", "passes")))


def test_report_without_secrets_keeps_everything_else() -> None:
    report = samples.report()
    clean = without_secrets(report)
    assert "hunter2" in report.model_dump_json()
    assert "hunter2" not in clean.model_dump_json()
    assert clean.pairs[0].accuracy == report.pairs[0].accuracy
    assert clean.pairs[0].provenance["reference"] == report.pairs[0].provenance["reference"]


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("`parity drill` and `parity run` do", "<code>parity drill</code> and <code>parity run</code> do"),
        ("a ` alone\nand `` two", "a ` alone\nand `` two"),
        ("<b> & `<script>`", "&lt;b&gt; &amp; <code>&lt;script&gt;</code>"),
        ("`x\u202egpj.exe`", "<code>x&lt;U+202E&gt;gpj.exe</code>"),
        ("`--token hunter2 --limit-images 5`", "<code>--token [redacted] --limit-images 5</code>"),
        ("--token `hunter2`", "--token [redacted]"),
        ("", ""),
    ],
)
def test_code_is_shown_as_code_and_all_is_escaped(text: str, shown: str) -> None:
    assert with_code(text) == shown


def test_leading_verdict_is_dropped_once() -> None:
    assert without_verdict("FAIL: yolo26n's AP changed.") == "yolo26n's AP changed."
    assert without_verdict("PASSED without prefix") == "PASSED without prefix"
