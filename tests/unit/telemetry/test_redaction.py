from __future__ import annotations

import pytest

from rating_engine.telemetry.redaction import is_secret, redact_text


@pytest.mark.parametrize(
    ("text", "redacted"),
    [
        ("redis://:s3cret@10.0.0.1:6379/0", "redis://:***@10.0.0.1:6379/0"),
        ("postgresql://u:s3cret@a:1,b:2/db", "postgresql://u:***@a:1,b:2/db"),
        ("cannot reach postgresql://u:a/b?c#d@h/db, giving up", "cannot reach postgresql://u:***@h/db, giving up"),
        ("two: redis://:s3@a and redis://:s4@b", "two: redis://:***@a and redis://:***@b"),
        ("host=h password=s3cret user=u", "host=h password=*** user=u"),
        ("/login?token=s3cret&next=1", "/login?token=***&next=1"),
    ],
)
def test_a_password_inside_a_text_is_hidden(text: str, redacted: str) -> None:
    assert redact_text(text) == redacted


@pytest.mark.parametrize(
    "text",
    ["http://localhost:8080/metrics", "agi://127.0.0.1/callPrepare", "a=b", "49:30", "user@example.com", ""],
)
def test_a_text_without_a_password_stays_as_it_is(text: str) -> None:
    assert redact_text(text) == text


@pytest.mark.parametrize("key", ["password", "Password", "db_password", "api_key", "session_token", "authorization"])
def test_a_key_that_names_a_secret_is_one(key: str) -> None:
    assert is_secret(key)


@pytest.mark.parametrize("key", ["call_key", "login", "reason", "key", "max_seconds"])
def test_an_ordinary_key_is_no_secret(key: str) -> None:
    assert not is_secret(key)
