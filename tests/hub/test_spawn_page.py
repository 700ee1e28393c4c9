"""The spawn page as a function of plain values."""

from __future__ import annotations

import time
from dataclasses import replace
from datetime import UTC, datetime
from html.parser import HTMLParser
from typing import Any

import pytest

from blackroad_nb.core.launch import LaunchChoice, parse_choice
from blackroad_nb.core.profile import DEFAULT_PROFILE, GIB, LaunchPolicy, Profile
from blackroad_nb.core.server import ServerRecord, ServerState
from blackroad_nb.core.template import Template
from blackroad_nb.errors import InvalidInput
from blackroad_nb.hub.spawn_page import (
    ProfileCard,
    SpawnPage,
    checked_profile,
    checked_template,
    limits,
    options_from_form,
    render_form,
    size,
    template_vars,
)

HOSTILE = "</label><script>alert(1)</script>\"'><img src=x onerror=alert(2)>{{7*7}}"
BIG = Profile(
    name="big", title="Big", description="For panels.", cpus=0.5, price="0.40 EUR per hour"
)
ALPHA = Template("alpha-research", "Alpha research", "From signal to report.")
AT = datetime(2026, 11, 21, 9, 0, tzinfo=UTC)
RECORD = ServerRecord("id", "ada", "", "big", None, ServerState.ERROR, AT)


def a_page(**changes: Any) -> SpawnPage:
    page = SpawnPage((ProfileCard(DEFAULT_PROFILE), ProfileCard(BIG)), (ALPHA,))
    return replace(page, **changes)


class Inputs(HTMLParser):
    """The tags of a page, and the attributes of its inputs."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.inputs: list[dict[str, str | None]] = []
        self.text = ""
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        assert not [name for name, _ in attrs if name.startswith("on")]
        assert not [name for name, _ in attrs if name in ("href", "src", "style")]
        if tag in ("input", "button"):
            self.inputs.append(dict(attrs))

    def handle_data(self, data: str) -> None:
        self.text += data

    def checked(self, name: str) -> list[str | None]:
        return [i["value"] for i in self.inputs if i.get("name") == name and "checked" in i]


def test_a_card_says_what_it_is_its_limits_and_its_price() -> None:
    form = Inputs(render_form(a_page()))
    for text in (
        "Standard",
        "2 CPUs",
        "8 GB memory",
        "0.40 EUR per hour",
        "0.5 CPU",
        "Alpha research",
        "From signal to report.",
    ):
        assert text in form.text
    assert form.tags.count("fieldset") == form.tags.count("legend") == 2
    assert form.checked("profile") == ["standard"]
    assert form.checked("template") == [""]
    assert form.checked("original") == []
    assert form.tags.count("button") == 1


def test_every_radio_has_a_label() -> None:
    html = render_form(a_page())
    form = Inputs(html)
    assert form.tags.count("label") == form.tags.count("input") == 5
    for piece in html.split("<label")[1:]:
        assert "<input" in piece.split("</label>")[0]


@pytest.mark.parametrize(
    "page",
    [
        a_page(
            cards=(
                ProfileCard(
                    replace(BIG, title=HOSTILE, description=HOSTILE, price=HOSTILE, name=HOSTILE)
                ),
            )
        ),
        a_page(cards=(ProfileCard(BIG, HOSTILE), ProfileCard(DEFAULT_PROFILE))),
        a_page(templates=(Template(HOSTILE, HOSTILE, HOSTILE),)),
        a_page(ended=replace(RECORD, ready_at=AT, message=HOSTILE, reason=HOSTILE)),
        a_page(notice=HOSTILE),
        a_page(last=LaunchChoice(HOSTILE, HOSTILE)),
        a_page(enabled=False, notice=HOSTILE),
    ],
)
def test_nothing_anybody_wrote_becomes_markup(page: SpawnPage) -> None:
    form = Inputs(render_form(page))
    assert not {"script", "img"} & set(form.tags)
    assert "49" not in form.text


def test_a_profile_that_is_not_for_me_says_why_and_cannot_be_chosen() -> None:
    cards = (ProfileCard(DEFAULT_PROFILE, "Only for the group quants."), ProfileCard(BIG))
    form = Inputs(render_form(a_page(cards=cards, last=LaunchChoice("standard"))))
    assert "Only for the group quants." in form.text
    assert form.checked("profile") == ["big"]
    assert [i["value"] for i in form.inputs if "disabled" in i] == ["standard"]


def test_without_any_profile_there_is_no_button() -> None:
    form = Inputs(render_form(a_page(cards=(ProfileCard(BIG, "Not yours."),))))
    assert "button" not in form.tags
    assert "None of these is for you" in form.text


def test_without_profiles_only_the_reason_stands_there() -> None:
    form = Inputs(render_form(a_page(cards=(), notice="profiles.yaml, line 3: no such key.")))
    assert "line 3" in form.text
    assert "None of these" not in form.text
    assert not form.inputs


def test_on_a_first_visit_the_first_template_is_marked() -> None:
    other = Template("beta", "Beta", "")
    form = Inputs(render_form(a_page(templates=(ALPHA, other), first_visit=True)))
    assert form.checked("template") == ["alpha-research"]
    assert form.checked("original") == []
    none = Inputs(render_form(a_page(templates=(), first_visit=True)))
    assert none.checked("template") == [""]


@pytest.mark.parametrize(
    ("last", "profile", "template"),
    [
        (None, "standard", ""),
        (LaunchChoice("big", "alpha-research"), "big", "alpha-research"),
        (LaunchChoice("gone", "gone"), "standard", ""),
        (LaunchChoice("big", None, original=True), "big", ""),
    ],
)
def test_the_last_choice_is_marked_as_far_as_it_still_exists(
    last: LaunchChoice | None, profile: str, template: str
) -> None:
    page = a_page(last=last)
    assert (checked_profile(page), checked_template(page)) == (profile, template)
    form = Inputs(render_form(page))
    assert (form.checked("profile"), form.checked("template")) == ([profile], [template])
    assert form.checked("original") == []  # or every start would add a file


@pytest.mark.parametrize(
    ("record", "expected"),
    [
        (None, None),
        (replace(RECORD, state=ServerState.STOPPED, reason="user"), None),
        (replace(RECORD, state=ServerState.RUNNING), None),
        (replace(RECORD, reason="cancelled", message="The start was called off."), None),
        (
            replace(RECORD, ready_at=AT, reason="out_of_memory", message="Killed at 8 GB."),
            "Your last session ran out of memory",
        ),
        (replace(RECORD, ready_at=AT, message="Exit code 3."), "ended by itself"),
        (replace(RECORD, reason="image_missing", message="No image."), "did not start"),
    ],
)
def test_a_bad_ending_is_told_and_a_good_one_is_not(
    record: ServerRecord | None, expected: str | None
) -> None:
    text = Inputs(render_form(a_page(ended=record))).text
    if expected is None:
        assert "Your last session" not in text
    else:
        assert expected in text
        assert record is not None
        assert record.message in text


def test_local_processes_say_that_they_isolate_nothing_and_promise_no_limits() -> None:
    text = Inputs(render_form(a_page(isolates=False))).text
    assert "not isolated" in text
    assert "8 GB memory" not in text
    assert "not isolated" not in Inputs(render_form(a_page())).text


def test_switched_off_there_is_nothing_to_press() -> None:
    form = Inputs(render_form(a_page(enabled=False, ended=RECORD)))
    assert "switched off" in form.text
    assert not form.inputs


@pytest.mark.parametrize(
    ("form", "options"),
    [
        ({"profile": ["big"], "template": ["a"]}, {"profile": "big", "template": "a"}),
        ({"_xsrf": ["t"], "original": ["1"]}, {"original": "1"}),
        ({"profile": ["a", "b"]}, {"profile": ["a", "b"]}),
        ({"image": ["evil"]}, {"image": "evil"}),
        ({"profile_file": [{"body": b"x"}]}, {"profile_file": ""}),
        ({"profile": []}, {"profile": []}),
        ({}, {}),
    ],
)
def test_the_form_is_read_and_not_judged(form: Any, options: dict[str, object]) -> None:
    assert options_from_form(form) == options


@pytest.mark.parametrize("name", ["image", "mounts", "profile_file", "__class__"])
def test_what_the_form_must_not_say_is_refused_at_the_launch(name: str) -> None:
    with pytest.raises(InvalidInput):
        parse_choice(options_from_form({name: ["x"]}), LaunchPolicy())


@pytest.mark.parametrize(
    ("count", "said"), [(8 * GIB, "8 GB"), (GIB // 2, "512 MB"), (GIB * 3 // 2, "1.5 GB")]
)
def test_a_size_reads_well(count: int, said: str) -> None:
    assert size(count) == said


def test_a_card_promises_only_what_is_enforced() -> None:
    profile = replace(BIG, idle_seconds=60, max_age_seconds=12 * 3600, max_sessions=2)
    assert limits(profile) == ("0.5 CPU", "8 GB memory", "2 at once")
    assert limits(profile, isolates=False) == ("2 at once",)


def test_scopes_decide_what_the_pages_offer() -> None:
    words: Any = template_vars(True, "custom:blackroad:launch")["blackroad"]
    assert words.may_launch({"custom:blackroad:launch"})
    assert not words.may_launch({"self"})
    assert not words.may_launch(None)
    assert words.explain(None) is None
    assert words.refusal(ValueError()) is None


@pytest.mark.parametrize(
    ("message", "sentence"),
    [
        ("HTTP 429: Too Many Requests (Try again (soon).)", "Try again (soon)."),
        ("HTTP 400: Bad Request", "HTTP 400: Bad Request"),
        ("Something else (with brackets)", "Something else (with brackets)"),
        ("", ""),
    ],
)
def test_a_status_line_is_not_for_people(message: str, sentence: str) -> None:
    words: Any = template_vars(True, "custom:blackroad:launch")["blackroad"]
    assert words.sentence(message) == sentence


def test_a_page_of_many_cards_renders_fast() -> None:
    cards = tuple(ProfileCard(replace(BIG, name=f"p{n}")) for n in range(50))
    templates = tuple(replace(ALPHA, name=f"t{n}") for n in range(200))
    page = a_page(cards=cards, templates=templates)
    render_form(page)
    started = time.perf_counter()
    render_form(page)
    assert time.perf_counter() - started < 0.25
