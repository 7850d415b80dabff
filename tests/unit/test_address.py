"""The address that we tell the other nodes."""

import socket
from collections.abc import Callable

import pytest

from pmxcfs import address
from pmxcfs.instance import StartError
from pmxcfs.options import Options

Resolver = Callable[..., list[tuple[object, ...]]]


def resolving(*texts: str) -> Resolver:
    def getaddrinfo(*_: object, **__: object) -> list[tuple[object, ...]]:
        if not texts:
            raise socket.gaierror(socket.EAI_NONAME, "unknown")
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (text, 0)) for text in texts]

    return getaddrinfo


@pytest.mark.parametrize(
    ("found", "chosen"),
    [
        (["10.0.0.1"], "10.0.0.1"),
        (["127.0.1.1", "::1", "10.0.0.1", "10.0.0.2"], "10.0.0.1"),
        (["fe80::1%eth0"], "fe80::1%eth0"),
        (["127.0.0.1", "127.0.1.1", "::1"], None),
        ([], None),
    ],
)
def test_the_first_address_that_others_reach_is_ours(
    monkeypatch: pytest.MonkeyPatch, found: list[str], chosen: str | None
) -> None:
    monkeypatch.setattr(socket, "getaddrinfo", resolving(*found))
    assert address.resolve("node1") == chosen


async def test_a_host_that_nobody_finds_does_not_start(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket, "getaddrinfo", resolving("127.0.1.1"))
    with pytest.raises(StartError, match=r"add a line .* node1 to /etc/hosts"):
        await address.own_address(Options("node1"))


async def test_a_given_name_need_not_be_a_hosts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket, "getaddrinfo", resolving())
    assert await address.own_address(Options("node1", has_given_name=True)) is None


async def test_the_address_of_the_hosts_name_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket, "getaddrinfo", resolving("10.0.0.1"))
    assert await address.own_address(Options("node1")) == "10.0.0.1"
