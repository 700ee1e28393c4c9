"""From IOPub messages to a cell's outputs: nbclient's rules within our limits."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionComplete
from nbformat import NotebookNode, ValidationError

from blackroad_nb.adapters.kernels.reading import Message, sent_at
from blackroad_nb.core.outputs import OUTPUT_OVERHEAD, StreamText, dropped_text, settled

log = logging.getLogger(__name__)
log.setLevel(logging.ERROR)

_DISPLAYS = frozenset({"display_data", "execute_result", "update_display_data"})
_BIG_COMM = 100_000  # bytes; a smaller widget update replaces state and adds nothing
_BIG_ERROR = 1_000_000  # bytes; longer tracebacks are cut
_LINE, _LINES = 10_000, 60  # what is left of them: characters a line, lines


class CellOutputs:
    """What one cell has put out so far: the cell as nbclient sees it, and its budget.

    Attributes:
        held: bytes of outputs besides the text of the last stream.
        dropped: bytes that found no room; once that happens, the rest is dropped too.
    """

    def __init__(self, cell: dict[str, Any], index: int, limit: int) -> None:
        self.cell = cell
        self.index = index
        self.limit = limit
        self.held = 0
        self.dropped = 0
        self.items: list[Any] = []
        cell["outputs"] = self.items
        cell["execution_count"] = None
        cell["metadata"]["execution"] = {}
        # NotebookNode copies mappings but keeps lists: the outputs stay those of the cell.
        self.node: Any = NotebookNode(  # type: ignore[no-untyped-call]
            cell_type="code", outputs=self.items, metadata={"execution": {}}, execution_count=None
        )
        self._last_stream: tuple[dict[str, Any], StreamText] | None = None
        self._note: dict[str, Any] | None = None

    def room(self) -> int:
        """Return how many bytes may still come."""
        if self.dropped:
            return 0
        last = 0 if self._last_stream is None else self._last_stream[1].size
        return self.limit - self.held - last

    def drop(self, size: int) -> None:
        """Count `size` bytes as dropped, and say so in the cell."""
        self.dropped += size
        if self._note is None:
            self._note = {"output_type": "stream", "name": "stderr", "text": ""}
            self.items.append(self._note)
        self._note["text"] = dropped_text(self.limit, self.dropped)

    def stream(self, name: str, text: str) -> None:
        """Add to the output before if it is the same stream's, else begin another output."""
        found = self._adjacent(name) or self._begin_stream(name)
        room = max(0, self.room())
        found.add(text[:room])
        if len(text) > room:
            self.drop(len(text) - room)

    def _adjacent(self, name: str) -> StreamText | None:
        if self._last_stream is None:
            return None
        output, text = self._last_stream
        return text if self.items[-1] is output and output["name"] == name else None

    def _begin_stream(self, name: str) -> StreamText:
        if self._last_stream is not None:
            self.held += self._last_stream[1].size
        text = StreamText()
        output = {"output_type": "stream", "name": name, "text": text.parts}
        self._last_stream = output, text
        self.items.append(output)
        self.held += OUTPUT_OVERHEAD
        return text

    def note(self, text: str) -> None:
        """Tell the reader of the notebook something that the kernel did not say."""
        self.stream("stderr", f"[blackroad-nb] {text}\n")

    def clear(self) -> None:
        """Remove the outputs and what they weighed."""
        self.items.clear()
        self._last_stream = self._note = None
        self.held = self.dropped = 0

    def replied(self, message: Message) -> None:
        """Keep when the kernel sent its reply, which clients take for the cell's end."""
        self.node["metadata"]["execution"]["shell.execute_reply"] = sent_at(message)

    def finish(self) -> None:
        """Give the cell its final form."""
        self.items[:] = settled(self.items)
        self.cell["execution_count"] = self.node["execution_count"]
        self.cell["metadata"]["execution"] = dict(self.node["metadata"]["execution"])


class OutputClient(NotebookClient):
    """nbclient's handling of outputs, displays and widgets, without its request loop."""

    def __init__(self, client: Any) -> None:
        # nbclient logs every output at debug, and widgets it cannot show as warnings.
        super().__init__(_empty(), log=log, record_timing=False)
        self.kc = client
        # nbclient looks a cell up by its index, and only when a display is updated.
        self.nb: Any = {"cells": {}}
        self.current: CellOutputs | None = None
        self.on_output: Callable[[int], None] = lambda _: None
        self._size = 0
        self._updates: dict[str, int] = {}

    def begin(
        self, cell: dict[str, Any], index: int, limit: int, on_output: Callable[[int], None]
    ) -> CellOutputs:
        """Let what comes belong to this cell; `on_output` gets the index of changed cells.

        Args:
            limit: bytes its outputs may have.
        """
        outputs = self.current = CellOutputs(cell, index, limit)
        self.on_output = on_output
        self.clear_before_next_output = False
        self.nb["cells"][outputs.index] = outputs.node
        self.clear_display_id_mapping(outputs.index)
        return outputs

    def refuses(self, kind: str, size: int) -> bool:
        """Tell whether a message of `size` bytes finds no room; it is counted as dropped."""
        outputs = self._cell()
        if kind == "stream":
            full = outputs.dropped > 0 and not self.clear_before_next_output
        else:
            full = self._is_limited(kind, size) and not self._has_room(kind, size)
        if full:
            outputs.drop(size)
            self.on_output(outputs.index)
        return full

    def room(self) -> int:
        """Return how many bytes of text may still come."""
        outputs = self._cell()
        return outputs.limit if self.clear_before_next_output else max(0, outputs.room())

    def take(self, message: Message, size: int) -> bool:
        """Apply one message of `size` bytes; True when it says that the kernel is idle."""
        outputs, kind = self._cell(), message["msg_type"]
        if kind == "error" and size > _BIG_ERROR:
            _cut_error(message["content"])
        self._size = size
        _note_time(message, outputs.node)
        try:
            self.process_message(message, outputs.node, outputs.index)
        except CellExecutionComplete:
            return True
        if kind not in ("status", "execute_input", "update_display_data"):
            self.on_output(outputs.index)
        return False

    def output(self, outs: Any, msg: Message, display_id: str | None, cell_index: int) -> Any:
        outputs, hooked = self._cell(), self._is_hooked(msg)
        if not hooked and self.clear_before_next_output:
            self._remove(outputs)
        if msg["msg_type"] == "stream" and not hooked:
            outputs.stream(msg["content"]["name"], msg["content"]["text"])
            return None
        try:
            found = super().output(outs, msg, display_id, cell_index)
        except ValidationError as error:
            outputs.note(f"An output is no valid notebook output: {error.message[:200]}.")
            return None
        outputs.held += self._size + OUTPUT_OVERHEAD
        return found

    def clear_output(self, outs: Any, msg: Message, cell_index: int) -> None:
        if self._is_hooked(msg) or msg["content"].get("wait"):
            super().clear_output(outs, msg, cell_index)
        else:
            self._remove(self._cell())

    def widgets(self) -> dict[str, Any] | None:
        """Return what belongs into the notebook's `metadata.widgets`, if anything does."""
        if not self.widget_state:
            return None
        cells, self.nb = self.nb, _empty()
        try:
            self.set_widgets_metadata()
            found = dict(self.nb.metadata.widgets)
            for content in found.values():
                # A kernel may name a comm by a number; JSON's keys are texts.
                content["state"] = {str(name): state for name, state in content["state"].items()}
            return found
        finally:
            self.nb = cells

    def release(self) -> None:
        """Let go of all outputs; no message may come any more.

        This object refers to itself, so it waits for the garbage collector, which may not
        come for many runs. What it held would wait with it.
        """
        self.current, self.on_output, self.nb = None, lambda _: None, {"cells": {}}
        self.reset_execution_trackers()

    def _update_display_id(self, display_id: str, msg: Message) -> None:
        before = self._updates.get(display_id, 0)
        if msg["msg_type"] == "update_display_data" and self._size > before:
            self._cell().held += self._size - before
            self._updates[display_id] = self._size
        super()._update_display_id(display_id, msg)
        for index, places in self._display_id_map.get(display_id, {}).items():
            if places:
                self.on_output(index)

    def _cell(self) -> CellOutputs:
        assert self.current is not None
        return self.current

    def _is_hooked(self, message: Message) -> bool:
        """Tell whether an output widget takes the outputs in the cell's place."""
        return bool(self.output_hook_stack.get(message["parent_header"].get("msg_id", "")))

    def _is_limited(self, kind: str, size: int) -> bool:
        return kind in _DISPLAYS or kind == "comm_open" or (kind == "comm_msg" and size > _BIG_COMM)

    def _has_room(self, kind: str, size: int) -> bool:
        outputs = self._cell()
        if self.clear_before_next_output and kind in _DISPLAYS:
            return size <= outputs.limit  # what is held now goes when this one comes
        if kind.startswith("comm"):
            outputs.held += size
        return size <= outputs.room()

    def _remove(self, outputs: CellOutputs) -> None:
        outputs.clear()
        self.clear_display_id_mapping(outputs.index)
        self.clear_before_next_output = False


def _note_time(message: Message, node: Any) -> None:
    """Keep the times nbclient keeps, as the kernel wrote them."""
    kind, content = message["msg_type"], message["content"]
    if kind == "status":
        name = f"iopub.status.{content['execution_state']}"
    elif kind == "execute_input":
        name = "iopub.execute_input"
    else:
        return
    node["metadata"]["execution"][name] = sent_at(message)


def _empty() -> Any:
    return NotebookNode(metadata=NotebookNode())  # type: ignore[no-untyped-call]


def _cut_error(content: dict[str, Any]) -> None:
    content["evalue"] = content["evalue"][:_LINE]
    lines = content["traceback"]
    content["traceback"] = [line[:_LINE] for line in lines[:_LINES]] + ["[the rest was cut]"]
