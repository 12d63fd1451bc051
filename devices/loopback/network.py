"""The cable between this computer and a phone: a veth pair that carries one /30 and nothing else.

The name of this computer's end is a number, and the number is the subnet, so that the kernel
itself sees to it that no two phones get the same one, whoever starts them. Its hardware address
is the phone's id, by which it is found again.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import IPv4Interface, IPv4Network, collapse_addresses
from itertools import islice

from devices.loopback import needs
from workspace.errors import OperationError

POOLS = (IPv4Network("10.213.0.0/18"), IPv4Network("172.29.192.0/18"))
"""Private ranges (RFC 1918) to choose from, the second where the first is in use."""
PREFIX = "pnas"
BURST_BYTES = 131_072
"""What a slowed cable lets through at once; packets of up to 64 KB come whole."""
ATTEMPTS = 64
"""Subnets tried while others take them at the same moment."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cable:
    """One end here, one in the phone.

    Attributes:
        link: Name of this computer's end.
        here: Its address.
        phone: The phone's address.
    """

    link: str
    here: str
    phone: str


def connect(phone_id: str, pid: int) -> Cable:
    """Lay a cable from here into the network namespace of process ``pid``.

    The phone has no default route and this computer forwards nothing for it: it reaches this
    computer's end, and nobody else reaches it.

    Raises:
        OperationError: If no subnet is free, or the kernel refuses.
    """
    cable = _plug(phone_id, pid)
    # No IPv6 on either end: the phone has one address.
    _configure(
        f"link set dev {cable.link} addrgenmode none",
        f"addr add {cable.here}/30 dev {cable.link}",
        f"link set dev {cable.link} up",
    )
    _configure(
        "link set dev lo up",
        "link set dev eth0 addrgenmode none",
        f"addr add {cable.phone}/30 dev eth0",
        "link set dev eth0 up",
        within=pid,
    )
    return cable


def slow_down(cable: Cable, pid: int, mb_per_s: float) -> None:
    """Let the cable into the namespace of ``pid`` carry so much each way, 10^6 bytes a second.

    Raises:
        OperationError: If the kernel refuses.
    """
    _limit(cable.link, mb_per_s)
    _limit("eth0", mb_per_s, within=pid)


def disconnect(phone_id: str) -> None:
    """Remove whatever cable leads to the phone; nothing to do if there is none.

    Raises:
        OperationError: If the kernel refuses.
    """
    for link in _links():
        if link.get("address") == hardware_address(phone_id):
            try:
                needs.run("ip", "link", "delete", "dev", link["ifname"])
            except OperationError:
                # It goes by itself, a moment after the phone's namespace.
                if any(other["ifname"] == link["ifname"] for other in _links()):
                    raise


def free_numbers(taken: tuple[IPv4Network, ...]) -> Iterator[int]:
    """The numbers of subnets that overlap none of ``taken``, lowest first.

    >>> next(free_numbers((IPv4Network("10.213.0.0/29"),)))
    2
    """
    blocks = tuple(collapse_addresses(taken))
    for number in range(sum(pool.num_addresses for pool in POOLS) // 4):
        if not any(subnet(number).overlaps(block) for block in blocks):
            yield number


def subnet(number: int) -> IPv4Network:
    """The /30 of a number.

    >>> subnet(1), subnet(4096)
    (IPv4Network('10.213.0.4/30'), IPv4Network('172.29.192.0/30'))
    """
    size = POOLS[0].num_addresses // 4
    pool = POOLS[number // size]
    return IPv4Network((int(pool.network_address) + 4 * (number % size), 30))


def hardware_address(phone_id: str) -> str:
    """A locally administered address (its first byte says so) that ends in the phone's id."""
    octets = ("02", "50", *(phone_id[i : i + 2] for i in range(0, 8, 2)))
    return ":".join(octets)


def _plug(phone_id: str, pid: int) -> Cable:
    for number in islice(free_numbers(_taken()), ATTEMPTS):
        here, phone = subnet(number).hosts()
        link = f"{PREFIX}{number}"
        try:
            needs.run(
                *("ip", "link", "add", "name", link, "address", hardware_address(phone_id)),
                *("type", "veth", "peer", "name", "eth0", "netns", str(pid)),
            )
        except OperationError as error:
            if "File exists" in str(error):  # someone else took it just now
                continue
            raise
        return Cable(link=link, here=str(here), phone=str(phone))
    msg = f"no subnet of {' or '.join(map(str, POOLS))} is free for another loopback phone"
    raise OperationError(msg)


def _limit(link: str, mb_per_s: float, within: int | None = None) -> None:
    """Let a token bucket pass so much out of an end; a short message goes at once."""
    rate = round(mb_per_s * 1e6)
    needs.run(
        *_enter(within),
        *("tc", "qdisc", "replace", "dev", link, "root", "tbf"),
        *("rate", f"{rate}bps", "burst", str(BURST_BYTES), "latency", "1s"),
    )


def _enter(pid: int | None) -> tuple[str, ...]:
    return () if pid is None else ("nsenter", f"--net=/proc/{pid}/ns/net")


def _configure(*lines: str, within: int | None = None) -> None:
    needs.run(*_enter(within), "ip", "-batch", "-", stdin="\n".join(lines) + "\n")


def _taken() -> tuple[IPv4Network, ...]:
    """Every subnet that this computer has an address in or a route to, but for the default."""
    routes = json.loads(needs.run("ip", "-json", "-4", "route", "show", "table", "all") or "[]")
    destinations = [IPv4Network(route["dst"]) for route in routes if route["dst"] != "default"]
    links = json.loads(needs.run("ip", "-json", "-4", "address", "show") or "[]")
    addresses = [
        IPv4Interface(f"{address['local']}/{address['prefixlen']}").network
        for link in links
        for address in link.get("addr_info", ())
    ]
    return tuple(net for net in (*destinations, *addresses) if net.prefixlen > 0)


def _links() -> list[dict[str, str]]:
    shown = json.loads(needs.run("ip", "-json", "link", "show", "type", "veth") or "[]")
    return [link for link in shown if link.get("ifname", "").startswith(PREFIX)]
