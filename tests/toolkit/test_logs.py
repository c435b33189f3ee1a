"""Logs are JSON lines with the call's id, without secrets, whoever writes them."""

import io
import json
import logging
from collections.abc import Iterator
from typing import Any

import pytest
import structlog

from callwright.toolkit.logs import configure_logs
from callwright.toolkit.redaction import Redactor

SECRET = "s3cret-value-of-a-setting"


@pytest.fixture
def stream() -> Iterator[io.StringIO]:
    handlers, level = logging.getLogger().handlers[:], logging.getLogger().level
    written = io.StringIO()
    configure_logs("INFO", [SECRET], written)
    yield written
    structlog.reset_defaults()
    structlog.contextvars.clear_contextvars()
    logging.getLogger().handlers[:] = handlers
    logging.getLogger().setLevel(level)


def lines(stream: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_a_line_has_time_level_logger_event_and_the_bound_call(stream: io.StringIO) -> None:
    with structlog.contextvars.bound_contextvars(call_id="067a"):
        structlog.get_logger("callwright.calls").info("dialled", status=201)
    (line,) = lines(stream)
    assert line.pop("time").endswith("Z")
    assert line == {
        "event": "dialled",
        "status": 201,
        "call_id": "067a",
        "level": "info",
        "logger": "callwright.calls",
    }


def test_the_standard_library_writes_the_same_lines(stream: io.StringIO) -> None:
    with structlog.contextvars.bound_contextvars(call_id="067a"):
        logging.getLogger("some.library").warning("gave up on %s", "https://x.example/")
    (line,) = lines(stream)
    assert (line["event"], line["call_id"], line["level"]) == (
        "gave up on https://x.example/",
        "067a",
        "warning",
    )


def test_secrets_are_hidden_wherever_they_are(stream: io.StringIO) -> None:
    log = structlog.get_logger()
    text = f"asked with {SECRET}"
    log.info(text, url=f"https://x.example/?key={SECRET}", nested={"list": [SECRET]})
    log.info("headers", authorization="Bearer abc.def", body={"access_token": "abc", "expires_in": 3600})
    logging.getLogger("library").error("failed: %s", SECRET)
    try:
        raise ValueError(SECRET)
    except ValueError:
        log.exception("raised", error=ValueError(SECRET))
        logging.getLogger("library").exception("raised")
    written = stream.getvalue()
    assert SECRET not in written
    assert "abc" not in written
    assert lines(stream)[1]["body"]["expires_in"] == 3600
    assert "Traceback" in lines(stream)[3]["exception"]
    assert "Traceback" in lines(stream)[4]["exception"]


def test_what_a_library_adds_to_its_line_is_kept(stream: io.StringIO) -> None:
    logging.getLogger("library").warning("refused", extra={"reason": "unknown_token", "secret": "abc"})
    (line,) = lines(stream)
    assert (line["event"], line["reason"], line["secret"]) == ("refused", "unknown_token", "***")


def test_the_key_that_asks_is_told_by_its_id(stream: io.StringIO) -> None:
    with structlog.contextvars.bound_contextvars(key_id="k1"):
        structlog.get_logger().info("asked")
    assert lines(stream)[0]["key_id"] == "k1"


FAILURE = """duplicate key value violates unique constraint "attempts_phone"
DETAIL:  Failing row contains (067a, Ada
Archer, +447700900123).
[SQL: INSERT INTO attempts (phone) VALUES (%(phone)s)]
[parameters: {'phone': '+447700900123', 'variables': '{"name": "Ada Archer"}'}]
(Background on this error at: https://sqlalche.me/e/20/gkpj)
  Input should be a valid integer [type=int_parsing, input_value='Ada Archer', input_type=str]"""


def test_whom_we_call_is_not_in_the_logs(stream: io.StringIO) -> None:
    log = structlog.get_logger()
    log.warning("refused", path="/api/v1/suppressions/%2B447700900123", detail=["asked for +447700900123"])
    log.warning("failed", error=FAILURE)
    try:
        raise RuntimeError(FAILURE)
    except RuntimeError:
        log.exception("failed", error=RuntimeError(FAILURE))
        logging.getLogger("library").exception("failed with %s", FAILURE)
    written = stream.getvalue()
    for text in ("Ada", "Archer", "7700900123"):
        assert text not in written
    assert "INSERT INTO attempts" in written
    assert "attempts_phone" in written
    assert "type=int_parsing" in written


def test_what_is_below_the_level_is_not_written(stream: io.StringIO) -> None:
    structlog.get_logger().debug("quiet")
    logging.getLogger("library").debug("quiet")
    logging.getLogger("httpx2").info("HTTP Request: GET https://x.example/?token=abc")
    logging.getLogger("uvicorn.access").info("GET /")
    assert stream.getvalue() == ""


def test_several_lines_in_a_text_stay_one_line(stream: io.StringIO) -> None:
    structlog.get_logger().info("one\ntwo", text="three\r\nfour\u2028five")
    assert len(stream.getvalue().split("\n")) == 2
    assert lines(stream)[0]["event"] == "one\ntwo"


def test_data_keeps_its_shape_when_secrets_are_taken_out() -> None:
    redact = Redactor([SECRET])
    assert redact.data(
        {"a": [1, None, True, 2.5, SECRET], "media_token": "x", "empty_token": "", "n": {1: 2}}
    ) == {
        "a": [1, None, True, 2.5, "***"],
        "media_token": "***",
        "empty_token": "",
        "n": {"1": 2},
    }
