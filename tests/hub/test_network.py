"""The sessions' network: made once, however many ask, and removed only when it is ours."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from blackroad_nb.adapters.docker_engine import DockerEngine

pytestmark = pytest.mark.docker


@pytest.mark.parametrize("shared", [True, False], ids=["one hub", "several hubs"])
def test_many_who_set_the_network_up_at_once(
    engine: DockerEngine, network: str, shared: bool
) -> None:
    askers = [engine if shared else DockerEngine() for _ in range(4)]
    with ThreadPoolExecutor(4) as pool:
        gateways = set(pool.map(lambda asker: asker.ensure_network(network), askers))
    for asker in askers:
        if asker is not engine:
            asker.close()
    assert len(engine.client.networks(names=[network])) == 1
    assert engine.ensure_network(network) in gateways


def test_what_kind_of_network_it_is(engine: DockerEngine, network: str) -> None:
    gateway = engine.ensure_network(network)
    found = engine.client.inspect_network(network)
    assert (found["Driver"], found["Internal"]) == ("bridge", True)
    assert found["Options"] == {"com.docker.network.bridge.enable_icc": "false"}
    assert gateway == found["IPAM"]["Config"][0]["Gateway"].split("/")[0]


def test_only_a_network_of_ours_is_removed(engine: DockerEngine, network: str) -> None:
    made = engine.client.create_network(network, driver="bridge", internal=True)["Id"]
    try:
        assert engine.remove_network(network) is False
        assert engine.client.inspect_network(made)["Name"] == network
    finally:
        engine.client.remove_network(made)
    assert engine.remove_network(network) is False
