"""The registry's use cases, over memory."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path

import pytest

from blackroad_nb.adapters.memory import MemoryStore
from blackroad_nb.adapters.memory_files import MemoryNotebookFiles
from blackroad_nb.core.document import new_document, parse_document, serialize_document
from blackroad_nb.core.execution import Execution, Status
from blackroad_nb.core.history import HistoryQuery
from blackroad_nb.errors import (
    FileExists,
    InvalidInput,
    InvalidNotebook,
    NotebookExists,
    NotebookNotFound,
    PathNotAllowed,
    StoreFull,
)
from blackroad_nb.managers.notebooks import NotebookManager

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
ROOT = Path("/data")


class Registry:
    """A manager with what it works on; its clock goes a second at each look."""

    def __init__(self) -> None:
        self.store = MemoryStore()
        self.files = MemoryNotebookFiles([ROOT])
        seconds, numbers = count(), count(1)
        self.manager = NotebookManager(
            self.store,
            self.files,
            lambda: NOON + timedelta(seconds=next(seconds)),
            lambda: f"id-{next(numbers)}",
        )


@pytest.fixture
def registry() -> Registry:
    return Registry()


def put(registry: Registry, name: str, kernel: str | None = "ir", cells: int = 3) -> Path:
    document = new_document(kernel or "", "c0")
    document["cells"] = [dict(document["cells"][0], id=f"c{n}") for n in range(cells)]
    if kernel is None:
        document["metadata"] = {}
    registry.files.files[ROOT / name] = serialize_document(document)
    return ROOT / name


def test_creating_writes_a_valid_notebook_and_its_row(registry):
    made = asyncio.run(registry.manager.create("  Prices ", "/data/a.ipynb", metadata={"x": [1]}))
    assert (made.name, made.path, made.kernel) == ("Prices", "/data/a.ipynb", "python3")
    assert (made.created_at, made.updated_at) == (NOON, NOON)
    assert (made.cell_count, made.metadata) == (1, {"x": [1]})
    document = parse_document(registry.files.files[ROOT / "a.ipynb"])
    assert (document["nbformat"], document["nbformat_minor"]) == (4, 5)
    assert document["metadata"]["kernelspec"]["name"] == "python3"
    assert asyncio.run(registry.manager.get(made.id)) == made


def test_a_file_is_never_overwritten_and_adopted_only_on_request(registry):
    path = put(registry, "mine.ipynb")
    before = registry.files.files[path]
    with pytest.raises(FileExists):
        asyncio.run(registry.manager.create("Mine", str(path)))
    assert asyncio.run(registry.manager.list()).items == ()
    adopted = asyncio.run(registry.manager.create("Mine", str(path), adopt=True))
    assert (adopted.kernel, adopted.cell_count) == ("ir", 3)
    assert registry.files.files[path] == before


@pytest.mark.parametrize(
    ("in_file", "asked", "expected"),
    [
        ("ir", None, "ir"),
        ("ir", "ir", "ir"),
        (None, "julia", "julia"),
        (None, None, "python3"),
    ],
)
def test_an_adopted_notebook_is_registered_with_the_kernel_it_runs_on(
    registry, in_file, asked, expected
):
    path = put(registry, "a.ipynb", kernel=in_file)
    adopted = asyncio.run(registry.manager.create("A", str(path), kernel=asked, adopt=True))
    assert adopted.kernel == expected


def test_an_adopted_notebook_keeps_the_kernel_it_names(registry):
    path = put(registry, "a.ipynb", kernel="ir")
    with pytest.raises(InvalidInput, match=r"names the kernel 'ir'.*ask for 'julia' when you run"):
        asyncio.run(registry.manager.create("A", str(path), kernel="julia", adopt=True))
    assert asyncio.run(registry.manager.list()).items == ()


def test_loading_brings_kernel_and_cell_count_up_to_date(registry):
    made = asyncio.run(registry.manager.create("A", "/data/a.ipynb"))
    put(registry, "a.ipynb", kernel="ir", cells=4)
    now, _ = asyncio.run(registry.manager.load(made.id))
    assert (now.kernel, now.cell_count) == ("ir", 4)
    assert asyncio.run(registry.manager.get(made.id)) == now


def test_what_cannot_be_adopted_is_told_and_not_registered(registry):
    registry.files.files[ROOT / "bad.ipynb"] = b"{}"
    with pytest.raises(InvalidNotebook):
        asyncio.run(registry.manager.create("Bad", "/data/bad.ipynb", adopt=True))
    with pytest.raises(NotebookNotFound):
        asyncio.run(registry.manager.create("None", "/data/none.ipynb", adopt=True))
    assert asyncio.run(registry.manager.list()).items == ()


def test_a_path_is_registered_once_however_it_is_written(registry):
    asyncio.run(registry.manager.create("A", "/data/a.ipynb"))
    for path in ("/data/a.ipynb", "/data/x/../a.ipynb", "//data/./a.ipynb"):
        for adopt in (False, True):
            with pytest.raises(NotebookExists):
                asyncio.run(registry.manager.create("B", path, adopt=adopt))


@pytest.mark.parametrize("name", ["", "   ", "a\nb", "x" * 201, "\x1b[31m", "\u202e", "\ud800"])
def test_a_name_is_one_visible_line(registry, name):
    with pytest.raises(InvalidInput):
        asyncio.run(registry.manager.create(name, "/data/a.ipynb"))
    assert registry.files.files == {}


@pytest.mark.parametrize(
    ("path", "error"),
    [
        ("", InvalidInput),
        ("/data/a.txt", InvalidInput),
        ("/data/a.ipynb/", None),
        ("/data/ipynb", InvalidInput),
        ("/data/.ipynb", InvalidInput),
        ("/data", InvalidInput),
        ("/data/a\0.ipynb", InvalidInput),
        ("/data/../etc/a.ipynb", PathNotAllowed),
        ("/etc/a.ipynb", PathNotAllowed),
    ],
)
def test_a_path_is_a_notebook_within_the_root(registry, path, error):
    if error is None:
        assert asyncio.run(registry.manager.create("A", path)).path == "/data/a.ipynb"
        return
    with pytest.raises(error):
        asyncio.run(registry.manager.create("A", path))
    assert registry.files.files == {}


@pytest.mark.parametrize("kernel", ["../x", "a b", ".hidden", "x" * 101, "\n"])
def test_a_kernel_has_a_name_that_a_kernelspec_can_have(registry, kernel):
    with pytest.raises(InvalidInput):
        asyncio.run(registry.manager.create("A", "/data/a.ipynb", kernel=kernel))
    assert registry.files.files == {}


def nested() -> dict[str, object]:
    deep: dict[str, object] = {}
    for _ in range(100_000):
        deep = {"d": deep}
    return deep


@pytest.mark.parametrize(
    "metadata",
    [{"x": {1, 2}}, {"x": float("nan")}, {"x": object()}, {"x": "y" * 1_000_001}, nested()],
    ids=["set", "nan", "object", "long", "deep"],
)
def test_metadata_is_what_json_can_hold(registry, metadata):
    with pytest.raises(InvalidInput):
        asyncio.run(registry.manager.create("A", "/data/a.ipynb", metadata=metadata))
    assert registry.files.files == {}


def test_a_row_that_cannot_be_kept_leaves_no_new_file_behind(registry, monkeypatch):
    async def full(_: object) -> None:
        raise StoreFull("The disk is full.")

    monkeypatch.setattr(registry.store, "add_notebook", full)
    mine = put(registry, "mine.ipynb")
    for path, adopt in (("/data/a.ipynb", False), (str(mine), True)):
        with pytest.raises(StoreFull):
            asyncio.run(registry.manager.create("A", path, adopt=adopt))
    assert list(registry.files.files) == [mine]


def test_of_two_who_create_one_notebook_one_is_told(registry):
    async def race() -> list[object]:
        return await asyncio.gather(
            *(registry.manager.create(f"N{n}", "/data/a.ipynb") for n in range(2)),
            return_exceptions=True,
        )

    results = asyncio.run(race())
    assert sum(isinstance(result, (FileExists, NotebookExists)) for result in results) == 1
    assert len(asyncio.run(registry.manager.list()).items) == 1
    assert ROOT / "a.ipynb" in registry.files.files


def test_loading_brings_the_cell_count_up_to_date(registry):
    made = asyncio.run(registry.manager.create("A", "/data/a.ipynb"))
    put(registry, "a.ipynb", cells=7)
    loaded, document = asyncio.run(registry.manager.load(made.id))
    assert (loaded.cell_count, len(document["cells"])) == (7, 7)
    assert asyncio.run(registry.manager.get(made.id)).cell_count == 7
    put(registry, "a.ipynb", cells=0)
    assert asyncio.run(registry.manager.load(made.id))[0].cell_count == 0


def test_loading_does_not_turn_back_what_recording_moved_on(registry):
    made = asyncio.run(registry.manager.create("A", "/data/a.ipynb"))
    later = NOON + timedelta(days=1)
    ran = Execution("e", Status.SUCCESS, "1", later, later, 1, notebook_id=made.id)
    asyncio.run(registry.store.record([ran]))
    asyncio.run(registry.store.note_notebook(made.id, made.path, cell_count=9, at=NOON))
    assert asyncio.run(registry.manager.get(made.id)).updated_at == later


def test_loading_does_not_turn_back_a_rename(registry):
    """A large file is read for a while."""
    made = asyncio.run(registry.manager.create("A", "/data/a.ipynb"))
    put(registry, "a.ipynb", cells=7)
    read = registry.files.read

    async def renamed_meanwhile(path):
        await registry.store.move_notebook(made.id, "/data/b.ipynb", "b", NOON)
        return await read(path)

    registry.files.read = renamed_meanwhile
    asyncio.run(registry.manager.load(made.id))
    assert asyncio.run(registry.store.get_notebook(made.id)).path == "/data/b.ipynb"


def test_loading_says_what_is_missing_or_broken(registry):
    made = asyncio.run(registry.manager.create("A", "/data/a.ipynb"))
    registry.files.files[ROOT / "a.ipynb"] = b"broken"
    with pytest.raises(InvalidNotebook):
        asyncio.run(registry.manager.load(made.id))
    del registry.files.files[ROOT / "a.ipynb"]
    with pytest.raises(NotebookNotFound, match=r"a\.ipynb"):
        asyncio.run(registry.manager.load(made.id))
    with pytest.raises(NotebookNotFound):
        asyncio.run(registry.manager.load("none"))


def test_a_notebook_registered_elsewhere_is_not_reached_from_a_narrower_root(registry):
    made = asyncio.run(registry.manager.create("A", "/data/a.ipynb"))
    narrow = NotebookManager(registry.store, MemoryNotebookFiles([Path("/home")]), lambda: NOON)
    with pytest.raises(PathNotAllowed):
        asyncio.run(narrow.load(made.id))
    with pytest.raises(PathNotAllowed):
        asyncio.run(narrow.delete(made.id, delete_file=True))
    assert asyncio.run(registry.manager.get(made.id)) == made


@pytest.mark.parametrize("delete_file", [False, True])
def test_deleting_takes_the_history_and_the_file_only_when_asked(registry, delete_file):
    made = asyncio.run(registry.manager.create("A", "/data/a.ipynb"))
    ran = Execution("e", Status.SUCCESS, "1", NOON, NOON, 1, notebook_id=made.id)
    asyncio.run(registry.store.record([ran]))
    gone = asyncio.run(registry.manager.delete(made.id, delete_file))
    assert gone == (made, delete_file)
    assert (ROOT / "a.ipynb" in registry.files.files) is not delete_file
    assert asyncio.run(registry.store.history(HistoryQuery())).items == ()
    with pytest.raises(NotebookNotFound):
        asyncio.run(registry.manager.delete(made.id, delete_file))


def test_a_file_that_is_gone_already_can_be_deleted(registry):
    made = asyncio.run(registry.manager.create("A", "/data/a.ipynb"))
    registry.files.files.clear()
    assert asyncio.run(registry.manager.delete(made.id, delete_file=True)) == (made, False)
    assert asyncio.run(registry.manager.list()).items == ()


def test_a_database_that_cannot_be_written_saves_the_file(registry):
    made = asyncio.run(registry.manager.create("A", "/data/a.ipynb"))

    async def full(notebook_id: str) -> None:
        raise StoreFull("The disk is full.")

    registry.store.delete_notebook = full
    with pytest.raises(StoreFull):
        asyncio.run(registry.manager.delete(made.id, delete_file=True))
    assert ROOT / "a.ipynb" in registry.files.files


def test_a_file_that_cannot_be_deleted_is_told_after_its_notebook_was(registry):
    made = asyncio.run(registry.manager.create("A", "/data/a.ipynb"))

    async def refused(path: Path) -> bool:
        raise InvalidInput("'/data/a.ipynb' cannot be deleted: Permission denied.")

    registry.files.delete = refused
    with pytest.raises(InvalidInput, match=r"history were deleted, but its file was not\. '/data"):
        asyncio.run(registry.manager.delete(made.id, delete_file=True))
    assert asyncio.run(registry.manager.list()).items == ()


def test_the_newest_update_is_listed_first(registry):
    for number in range(3):
        asyncio.run(registry.manager.create(f"N{number}", f"/data/{number}.ipynb"))
    assert [n.name for n in asyncio.run(registry.manager.list()).items] == ["N2", "N1", "N0"]
    page = asyncio.run(registry.manager.list(limit=2))
    rest = asyncio.run(registry.manager.list(limit=2, cursor=page.next_cursor))
    assert [n.name for n in (*page.items, *rest.items)] == ["N2", "N1", "N0"]
    assert rest.next_cursor is None


def test_a_file_is_found_by_its_path_or_adopted(registry):
    path = put(registry, "found.ipynb")
    made, new = asyncio.run(registry.manager.at(str(path)))
    assert (made.name, made.path, made.kernel, new) == ("found", str(path), "ir", True)
    assert asyncio.run(registry.manager.at(str(path))) == (made, False)
    with pytest.raises(NotebookNotFound):
        asyncio.run(registry.manager.at("/data/none.ipynb"))


def test_two_who_adopt_a_file_at_once_get_the_same_notebook(registry):
    path = put(registry, "found.ipynb")
    find, (first, _) = registry.store.find_notebook, asyncio.run(registry.manager.at(str(path)))
    looks = count()

    async def late(wanted: str):
        return None if next(looks) < 2 else await find(wanted)

    registry.store.find_notebook = late
    assert asyncio.run(registry.manager.at(str(path))) == (first, False)


@pytest.mark.parametrize("ran", [False, True])
def test_what_was_registered_for_a_run_is_forgotten_unless_something_ran(registry, ran):
    made, _ = asyncio.run(registry.manager.at(str(put(registry, "found.ipynb"))))
    if ran:
        row = Execution("e", Status.SUCCESS, "1", NOON, NOON, 1, notebook_id=made.id)
        asyncio.run(registry.store.record([row]))
    asyncio.run(registry.manager.forget_unused(made.id))
    assert bool(asyncio.run(registry.manager.list()).items) is ran
    asyncio.run(registry.manager.forget_unused("none"))
