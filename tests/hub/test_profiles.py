"""The operator's file: what it can say, and that every mistake is named with its line."""

from __future__ import annotations

import logging
import os
from pathlib import Path

import pytest

from blackroad_nb.core.profile import GIB, LaunchPolicy, Mount, Profile
from blackroad_nb.errors import InvalidInput, LaunchRefused
from blackroad_nb.hub.profiles import (
    DEFAULT_FILE,
    FILE_NAMES,
    MOUNT_NAMES,
    PROFILE_NAMES,
    PolicyFile,
    read_profiles,
)


def written(folder: Path, text: str | bytes) -> Path:
    path = folder / "profiles.yaml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def profile_with(line: str) -> str:
    """Return a file whose fourth line is the one given."""
    return f"profiles:\n  - name: a\n    title: A\n    {line}\n"


def test_the_file_that_is_written_first_says_the_defaults(tmp_path: Path) -> None:
    assert read_profiles(written(tmp_path, DEFAULT_FILE)) == LaunchPolicy()


def test_its_commented_example_is_a_profile_too(tmp_path: Path) -> None:
    """Whoever takes the hyphens and signs away gets what the comment promises."""
    lines = DEFAULT_FILE.splitlines()
    start = next(number for number, line in enumerate(lines) if "- name: large" in line)
    shown = [line.replace("# ", "", 1) if line.strip() != "#" else "" for line in lines[start:]]
    policy = read_profiles(written(tmp_path, "\n".join([*lines[:start], *shown])))
    assert [profile.name for profile in policy.profiles] == ["standard", "large"]
    assert policy.profiles[1] == Profile(
        name="large",
        title="Large",
        description="For panels that do not fit into Standard.",
        image="registry.example.org/notebook:2026-11",
        cpus=8.0,
        memory_bytes=64 * GIB,
        environment={"OMP_NUM_THREADS": "8"},
        mounts=(Mount("/data/wrds", "/data/wrds"),),
        idle_seconds=5400,
        max_age_seconds=86400,
        groups=frozenset({"quant"}),
        users=frozenset({"ada"}),
        price="1.60 EUR per hour",
        max_sessions=2,
    )


@pytest.mark.parametrize("text", ["", "# nothing but a comment\n", "---\n", "{}\n"])
def test_an_empty_file_takes_the_defaults(tmp_path: Path, text: str) -> None:
    assert read_profiles(written(tmp_path, text)) == LaunchPolicy()


@pytest.mark.parametrize(
    ("line", "field", "value"),
    [
        ("memory: 512MB", "memory_bytes", 512 * 1024**2),
        ("memory: 1.5 GiB", "memory_bytes", 3 * GIB // 2),
        ("memory: 2 T", "memory_bytes", 2048 * GIB),
        ("cpus: 0.5", "cpus", 0.5),
        ("cpus: '4'", "cpus", 4.0),
        ("idle: 90 s", "idle_seconds", 90),
        ("idle: 1d 2h 3min 4s", "idle_seconds", 93784),
        ("max_age:", "max_age_seconds", None),
        ("max_sessions: 0", "max_sessions", 0),
        ("environment: {A: 1, B: 'no', C: ''}", "environment", {"A": "1", "B": "no", "C": ""}),
        ("description: |\n      Two\n      lines.", "description", "Two lines."),
        ("users: ['ada@example.org', 'Björn Ö']", "users", {"ada@example.org", "Björn Ö"}),
        (
            "mounts: [{source: /a//b/, target: /b, read_only: false}]",
            "mounts",
            (Mount("/a/b", "/b", read_only=False),),
        ),
        ("pids: 64", "pids", 64),
    ],
)
def test_what_can_be_said(tmp_path: Path, line: str, field: str, value: object) -> None:
    (profile,) = read_profiles(written(tmp_path, profile_with(line))).profiles
    assert getattr(profile, field) == value


# What stands on the fourth line, and a part of what is said of it.
MISTAKES = [
    ("memory: 8", "memory must be a size"),
    ("memory: 8 XB", "memory must be a size"),
    ("memory: -8 GB", "memory must be a size"),
    ("memory: 1 M", "from 128 MB"),
    ("memory: 999999999 TB", "to 64 TB"),
    ("memory: true", "memory must be a number or text"),
    ("memory: [8 GB]", "memory must be a number or text"),
    ("cpus: two", "cpus must be a number from 0.01"),
    ("cpus: 0", "cpus must be a number from 0.01"),
    ("cpus: .nan", "cpus must be a number"),
    ("cpus: .inf", "cpus must be a number"),
    ("cpus: 1e3", "cpus must be a number"),
    ("pids: 1", "pids must be a whole number from 16"),
    ("pids: 1_000", "pids must be a whole number"),
    ("pids: 0x400", "pids must be a whole number"),
    ("pids: 1:20", "pids must be a whole number"),  # 80 to YAML
    ("idle: 4", "idle must be a time"),
    ("idle: 0s", "idle must be a time"),
    ("idle: ''", "idle must be a time"),
    ("idle: 4 parsecs", "idle must be a time"),
    ("max_age: 99999d", "max_age must be a time"),
    ("max_sessions: -1", "max_sessions must be a whole number"),
    ("max_sessions: many", "max_sessions must be a whole number"),
    ("title: A", "'title' stands here a second time"),
    ("memmory: 8 GB", "did you mean 'memory'?"),
    ("gpus: 1", "A profile has no 'gpus'"),
    ("price: 0.40", "price must be text; put it in quotes"),
    ("price: yes", "price must be text; put it in quotes"),
    ('price: ""', "one line of 1 to 200"),
    ('description: "a\\u202eb"', "printable"),
    ("image: 'a b'", "the name of a Docker image"),
    ("image: --privileged", "the name of a Docker image"),
    ("groups: quant", "groups must be a list"),
    ("groups: {quant: true}", "groups must be a list"),
    ("groups: [1]", "An entry of groups must be text"),
    ("users: [[ada]]", "An entry of users must be text"),
    ("environment: [A]", "environment must be names with values"),
    ("environment: {A=B: c}", "cannot be the name of a variable"),
    ("environment: {A: yes}", "in quotes"),
    ("environment: {A: [b]}", "The variable A must be"),
    ('environment: {A: "b\\0c"}', "The variable A must be text"),
    ("environment: {JUPYTERHUB_API_TOKEN: x}", "is the hub's own"),
    ("environment: {USER_ID: root}", "is the hub's own"),
    ("environment: {PYTHONPATH: /tmp}", "is the hub's own"),
    ("mounts: [/data]", "A mount must be names with values"),
    ("mounts: [{source: /data}]", "A mount needs a `source` and a `target`"),
    ("mounts: [{source: data, target: /data}]", "source must be an absolute path"),
    ("mounts: [{source: /a/../etc, target: /x}]", "source must be an absolute path"),
    ("mounts: [{source: /, target: /host}]", "hand the whole machine"),
    ("mounts: [{source: /run/docker.sock, target: /d}]", "hand the whole machine"),
    ("mounts: [{source: /a, target: /home/jovyan/work}]", "the session's own"),
    ("mounts: [{source: /a, target: /x}, {source: /b, target: /x/}]", "two mounts at /x"),
    ("mounts: [{source: /a, target: /x, read_only: 0}]", "read_only must be true or false"),
    ("mounts: [{source: /a, target: /x, mode: rw}]", "A mount has no 'mode'"),
    ("groups: *quant", "References (`*name`) are not read"),
    ("title: {", "not YAML"),
    ("\ttitle: A", "not YAML"),
    ("- b", "not YAML"),
    ("idle: !!python/object:os.system x", "idle must be a number or text"),
    ("name: Ada", "'name' stands here a second time"),
]


@pytest.mark.parametrize(("line", "complaint"), MISTAKES, ids=lambda value: str(value)[:40])
def test_a_mistake_is_named_with_its_line(tmp_path: Path, line: str, complaint: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        read_profiles(written(tmp_path, profile_with(line)))
    message = caught.value.message
    assert complaint in message
    # A bracket that is never closed is noticed where the file ends.
    lines = ("line 4: ", "line 5: ") if "{" in line and "}" not in line else ("line 4: ",)
    assert message.startswith(tuple(f"profiles.yaml, {each}" for each in lines))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("profiles:\n", "line 1: There must be at least one profile."),
        ("profiles: []\n", "line 1: There must be at least one profile."),
        ("- name: a\n", "line 1: The file must be names with values"),
        ("max_session: 3\n", "line 1: The file has no 'max_session'; did you mean 'max_sessions'?"),
        ("profiles:\n  - title: A\n", "line 2: A profile needs a `name`."),
        ("profiles:\n  - name: A\n", "line 2: The name 'A' must be small letters"),
        ("profiles:\n  - name: ../x\n", "line 2: The name '../x' must be small letters"),
        (
            "profiles:\n  - name: a\n  - name: a\n",
            "line 3: There are two profiles of the name 'a'.",
        ),
        ("a: &x 1\nb: *x\n", "line 2: References (`*name`) are not read; write it out."),
        ("a: &x [*x]\n", "line 1: References (`*name`) are not read; write it out."),
        ("---\n{}\n---\n{}\n", "line 3: This is not YAML: but found another document."),
        (b"profiles:\n  - name: \xff\n", "line 2: There are bytes that are not UTF-8 text."),
        ("[" * 5000 + "]" * 5000, "nested too deeply"),
        ("a: \x07\n", "This is not YAML"),
        ("#" * 1_000_001, "It is larger than 1 MB."),
    ],
)
def test_a_file_that_cannot_be_used(tmp_path: Path, text: str | bytes, message: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        read_profiles(written(tmp_path, text))
    assert message in caught.value.message
    assert "\n" not in caught.value.message


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="cannot be read: No such file"):
        read_profiles(tmp_path / "profiles.yaml")
    with pytest.raises(InvalidInput, match="cannot be read: Is a directory"):
        read_profiles(tmp_path)


def rewritten(path: Path, text: str) -> None:
    path.with_suffix(".new").write_text(text)
    os.replace(path.with_suffix(".new"), path)


def test_a_change_is_seen_at_the_next_launch(tmp_path: Path) -> None:
    path = written(tmp_path, "max_sessions: 1\n")
    file = PolicyFile(path)
    assert file.read().max_sessions == 1
    rewritten(path, "max_sessions: 2\n")
    assert file.read(enabled=False) == LaunchPolicy(max_sessions=2, enabled=False)


def test_a_mistake_refuses_launches_until_it_is_mended(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The last good rules are not taken: they may be what the operator took away."""
    path = written(tmp_path, "max_sessions: 1\n")
    file = PolicyFile(path)
    assert file.read().max_sessions == 1
    rewritten(path, "max_sessions: one\n")
    with caplog.at_level(logging.ERROR):
        for _ in range(3):
            with pytest.raises(LaunchRefused) as caught:
                file.read()
            assert caught.value.reason == "policy_unreadable"
    assert [record.getMessage() for record in caplog.records] == [
        "Nobody can start a session: profiles.yaml, line 1: max_sessions must be a whole number "
        "from 0 to 100000."
    ]
    path.unlink()
    with pytest.raises(LaunchRefused):
        file.read()
    rewritten(path, "max_sessions: 3\n")
    assert file.read().max_sessions == 3


def test_without_a_file_the_defaults_hold() -> None:
    assert PolicyFile(None).read() == LaunchPolicy()


PAGE = Path(__file__).parents[2] / "docs" / "reference" / "profiles.md"


def test_the_reference_names_everything_and_its_example_can_be_read(tmp_path: Path) -> None:
    text = PAGE.read_text()
    for name in (*FILE_NAMES, *PROFILE_NAMES, *MOUNT_NAMES):
        assert f"`{name}`" in text
    example = text.split("```yaml\n")[1].split("```")[0]
    policy = read_profiles(written(tmp_path, example))
    assert [profile.title for profile in policy.profiles] == ["Standard", "Large"]
