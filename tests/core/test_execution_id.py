"""An execution's id is the version 5 UUID of its kernel and request."""

from __future__ import annotations

from uuid import UUID, uuid5

import pytest

from blackroad_nb.core.execution import execution_id

NAMESPACE = UUID("6b1f6a3e-5f0e-4f64-9a43-0d1b7a5f1c11")


@pytest.mark.parametrize("msg_id", [f"{number}" for number in range(64)] + ["", "é/\n\0"])
def test_the_id_is_what_the_standard_library_makes(msg_id: str) -> None:
    assert execution_id("kernel", msg_id) == str(uuid5(NAMESPACE, f"kernel/{msg_id}"))


def test_each_kernel_has_its_own_ids() -> None:
    assert execution_id("a", "1") != execution_id("b", "1")
