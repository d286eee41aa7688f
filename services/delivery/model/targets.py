"""Which addresses may be called: public ones, and those of networks that the operator listed."""

from collections.abc import Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Final

Network = IPv4Network | IPv6Network

# Everything that is routed on the Internet lies here; Python calls some of the rest global too (fec0::/10, ::/96).
_GLOBAL_UNICAST: Final = IPv6Network("2000::/3")
_NAT64: Final = IPv6Network("64:ff9b::/96")
# Cloud metadata on addresses that are public by the registries.
_METADATA: Final = (IPv4Network("168.63.129.16/32"), IPv4Network("192.0.0.192/32"), IPv6Network("fd00:ec2::254/128"))


def parse_networks(text: str) -> tuple[Network, ...]:
    """CIDRs, comma-separated. Raises ValueError with the one that isn't one."""
    return tuple(ip_network(part.strip(), strict=False) for part in text.split(",") if part.strip())


def is_allowed(host: str, networks: Sequence[Network]) -> bool:
    """`host` is an address as it stands in a socket's address, after DNS."""
    address = _unwrapped(ip_address(host.partition("%")[0]))
    if _is_in(address, networks):
        return True
    if isinstance(address, IPv6Address) and address not in _GLOBAL_UNICAST:
        return False
    return address.is_global and not address.is_multicast and not _is_in(address, _METADATA)


def _is_in(address: IPv4Address | IPv6Address, networks: Sequence[Network]) -> bool:
    return any(address in network for network in networks if network.version == address.version)


def _unwrapped(address: IPv4Address | IPv6Address) -> IPv4Address | IPv6Address:
    """The IPv4 address that an IPv6 form only carries: mapped, 6to4, Teredo or NAT64."""
    if isinstance(address, IPv4Address):
        return address
    if address in _NAT64:
        return IPv4Address(int(address) & 0xFFFFFFFF)
    if address.teredo is not None:
        return address.teredo[1]
    return address.ipv4_mapped or address.sixtofour or address
