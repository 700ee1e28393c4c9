"""What the hub's tests share."""

from __future__ import annotations

from docker_engine import engine, network, notebook_image

__all__ = ["engine", "network", "notebook_image"]
