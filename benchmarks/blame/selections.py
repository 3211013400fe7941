"""Few tests each, chosen for what they touch; seconds on a quiet machine beside them."""

_NETWORK = r"^tempest\.api\.network\."
# Networks and subnets: 20 tests, 4 s; and a few of them: 10 tests, 3 s.
NETWORKS = rf"{_NETWORK}test_networks\.NetworksTest\."
FEW = rf"{NETWORKS}test_(create_update|delete|update|list|show_network)"
ONE_DELETED = rf"{NETWORKS}test_delete_network_with_subnet\["
# Subnets of both IP versions: 17 tests, 5 s.
BOTH_VERSIONS = rf"{_NETWORK}test_networks\.Networks(IpV6)?Test\.test_create_delete"
# Ports: 15 tests, 6 s; and a few of them: 6 tests, 3 s.
PORTS = rf"{_NETWORK}test_ports\.PortsTestJSON\."
FEW_PORTS = rf"{PORTS}test_(create_(update|bulk|show)|show|list_ports)"
ONE_PORT = rf"{PORTS}test_show_port\["
# Ports with more than one address: 4 tests, 3 s.
ADDRESS_PAIRS = rf"{_NETWORK}test_allowed_address_pair\.AllowedAddressPairTestJSON\."
# Two classes at once on two workers.
NETWORKS_AND_PORTS = rf"{_NETWORK}(test_networks\.NetworksTest|test_ports\.PortsTestJSON)\."
# A class whose set-up makes a router, and tests that do not.
FLOATING_IPS = rf"{_NETWORK}(test_floating_ips\.FloatingIPTestJSON|test_networks\.NetworksTest\.test_list)"
# One of them needs a network of some size.
ALLOCATION = rf"{PORTS}test_(create_port_in_allowed|show_port|list_ports)"
NOTHING = rf"{_NETWORK}there_is_no_such_test"
