"""What people read about a failure: cause and remedy, never a traceback, always escaped."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest
from jupyterhub.spawner import SpawnException
from jupyterhub.utils import format_exception
from tornado import web

import blackroad_nb
from blackroad_nb.adapters.docker_engine import failures as engine_failures
from blackroad_nb.errors import (
    BlackRoadError,
    EngineUnavailable,
    InvalidInput,
    LaunchRefused,
    LimitReached,
    SessionFailed,
    TemplateNotFound,
)
from blackroad_nb.hub.failures import DEFAULT, REASONS, ending, explain, spawn_exception

PACKAGE = Path(blackroad_nb.__file__).parent
HOSTILE = "<script>alert(1)</script>&\"'"


@pytest.mark.parametrize(
    ("error", "reason", "status"),
    [
        (LaunchRefused("No role.", "not_permitted"), "not_permitted", 403),
        (LimitReached("Five run.", "limit_per_hub"), "limit_per_hub", 429),
        (SessionFailed("No image.", "image_missing"), "image_missing", 502),
        (EngineUnavailable("No engine."), "engine_gone", 503),
        (InvalidInput("No profile."), "invalid_input", 400),
        (TemplateNotFound("No template."), "template_not_found", 404),
        (TimeoutError(), "too_slow", 504),
        (RuntimeError("secret path /root/x"), "internal", 500),
        (web.HTTPError(429, "Try again in 20 seconds."), "throttled", 429),
        (web.HTTPError(500, "KeyError in /srv"), "", 500),
        (SpawnException("Not now.", reason="own", status_code=409), "own", 409),
    ],
)
def test_every_error_has_a_reason_a_heading_and_a_way_out(
    error: BaseException, reason: str, status: int
) -> None:
    said = explain(error)
    assert (said.reason, said.status) == (reason, status)
    assert said.title
    assert said.cause
    # A refusal by the policy says the way out itself.
    assert said.remedy or isinstance(error, LimitReached)


@pytest.mark.parametrize("error", [RuntimeError("secret"), web.HTTPError(500, "secret")])
def test_the_text_of_an_unexpected_error_stays_in_the_log(error: BaseException) -> None:
    assert "secret" not in explain(error).text()
    assert "secret" not in explain(error).html()


def test_the_cause_is_what_the_error_said() -> None:
    message = "5 of 5 sessions run: yours since 09:10. One may free up at 13:10."
    said = explain(LimitReached(message, "limit_per_hub"))
    assert said.cause == message
    assert message in said.text()
    assert message in said.html()


def test_an_unknown_reason_keeps_its_cause() -> None:
    said = explain(SessionFailed("The disc fell out.", "disc_fell_out"))
    assert (said.title, said.remedy) == DEFAULT
    assert said.cause == "The disc fell out."


RAISED_IN = (
    "adapters/docker_engine/failures.py",
    "core/ending.py",
    "core/policy.py",
    "hub/cross_site.py",
    "hub/docker_spawner.py",
    "hub/launch_options.py",
    "hub/local_spawner.py",
    "hub/policy_mixin.py",
    "hub/profiles.py",
    "hub/work_folder.py",
)
PLACE = {"SessionFailed": 1, "LaunchRefused": 1, "LastWords": 1, "Refusal": 0}


def raised() -> set[str]:
    """Return each reason that the code of a launch gives, read in the code itself."""
    found = {reason for _, reason in engine_failures._REASONS}
    for name in RAISED_IN:
        for node in ast.walk(ast.parse((PACKAGE / name).read_text())):
            if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Name):
                continue
            place = PLACE.get(node.func.id)
            if place is not None and len(node.args) > place:
                reason = node.args[place]
                if isinstance(reason, ast.Constant):
                    found.add(str(reason.value))
    return found


def test_each_reason_there_is_has_its_heading_and_way_out() -> None:
    reasons = raised()
    assert {"disk_full", "name_taken", "work_not_yours", "not_started", "too_slow"} <= reasons
    assert {"not_permitted", "policy_unreadable", "cross_site", "removed"} <= reasons
    assert reasons - set(REASONS) == set()


@pytest.mark.parametrize(
    "error",
    [
        InvalidInput("There is no profile 'x'; choose one of: small."),
        TemplateNotFound("There is no template 'x'; there are: welcome."),
        LaunchRefused("Another page asked for this session.", "cross_site"),
    ],
)
def test_a_program_is_not_told_to_look_at_a_form(error: BlackRoadError) -> None:
    refused = spawn_exception(error)
    assert refused.get_message() == refused.jupyterhub_message == error.message
    assert explain(error).remedy in refused.jupyterhub_html_message


def test_nothing_of_an_error_becomes_markup() -> None:
    for error in (SessionFailed(HOSTILE, "x"), web.HTTPError(400, HOSTILE)):
        refused = spawn_exception(error)
        assert "<script" not in refused.jupyterhub_html_message
        assert "&lt;script&gt;" in refused.jupyterhub_html_message


def test_the_hub_shows_our_words_and_not_its_own() -> None:
    refused = spawn_exception(SessionFailed("No image.", "image_missing"))
    text, html = format_exception(refused, only_jupyterhub=True)
    assert text == "No image. " + REASONS["image_missing"][1]
    assert "image of this profile is missing" in html
    assert (refused.reason, refused.status_code) == ("image_missing", 502)
    assert spawn_exception(refused) is refused
    assert explain(refused).reason == "image_missing"


@pytest.mark.parametrize("reason", ["out_of_memory", "lost", "anything", ""])
def test_an_ending_says_what_became_of_the_files(reason: str) -> None:
    assert "Files you had saved are still there" in ending(reason, "It ended.").remedy


def test_an_ending_that_says_so_itself_is_not_repeated() -> None:
    said = ending("out_of_memory", "It ran out of memory; saved work is kept, so start again.")
    assert said.remedy == ""


def test_a_percent_sign_is_text() -> None:
    assert explain(web.HTTPError(400, "100%")).cause == "100%"
    assert isinstance(spawn_exception(BlackRoadError("100% %s %d")).get_message(), str)
