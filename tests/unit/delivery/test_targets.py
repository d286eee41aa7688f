"""Which addresses may be called."""

import pytest

from services.delivery.model.targets import is_allowed, parse_networks


@pytest.mark.parametrize("host", ["93.184.216.34", "2606:2800:220:1:248:1893:25c8:1946"])
def test_public_addresses_are_allowed(host: str) -> None:
    assert is_allowed(host, ())


@pytest.mark.parametrize(
    "host",
    [
        *("127.0.0.1", "10.1.2.3", "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1", "0.0.0.1"),
        *("224.0.0.1", "::1", "::", "fe80::1%eth0", "fd00::1", "::ffff:127.0.0.1", "::ffff:169.254.169.254"),
        *("64:ff9b::7f00:1", "2002:7f00:1::", "::127.0.0.1", "fec0::1", "ff02::1", "::ffff:0:127.0.0.1"),
        *("2001:0:4136:e378:8000:63bf:80ff:fffe", "64:ff9b::a9fe:a9fe", "240.0.0.1", "255.255.255.255", "198.18.0.1"),
        *("192.0.0.192", "168.63.129.16", "fd00:ec2::254", "100::1", "2001:db8::1"),
    ],
)
def test_private_loopback_link_local_and_what_only_carries_them_are_refused(host: str) -> None:
    assert not is_allowed(host, ())


def test_listed_networks_are_allowed_and_nothing_beside_them() -> None:
    networks = parse_networks("127.0.0.0/8, ::1/128,10.2.0.0/16")
    assert is_allowed("127.0.0.1", networks)
    assert is_allowed("::1", networks)
    assert is_allowed("::ffff:10.2.3.4", networks)
    assert not is_allowed("10.3.0.1", networks)


def test_what_is_no_network_is_refused() -> None:
    with pytest.raises(ValueError, match="10\\.2/99"):
        parse_networks("127.0.0.0/8,10.2/99")
