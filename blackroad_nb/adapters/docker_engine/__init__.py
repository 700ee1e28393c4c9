"""The Docker engine: the only importer of its library beside dockerspawner."""

from blackroad_nb.adapters.docker_engine.engine import BuildOptions, Capacity, DockerEngine
from blackroad_nb.adapters.docker_engine.failures import NoSuchContainer

__all__ = ["BuildOptions", "Capacity", "DockerEngine", "NoSuchContainer"]
