# Licensed under the Apache License, Version 2.0; see the file LICENSE of this repository.
"""What a network, a subnet and a port must look like for the controller."""

import ipaddress
import re

MAC_ADDRESS = re.compile(r"([0-9a-f]{2}:){5}[0-9a-f]{2}")

# The type of every field a document must have; None in a tuple means that null is allowed.
FIELDS = {
    "networks": {
        "id": (str,),
        "project_id": (str,),
        "name": (str,),
        "admin_state_up": (bool,),
        "mtu": (int,),
        "external": (bool,),
        "segments": (list,),
    },
    "subnets": {
        "id": (str,),
        "network_id": (str,),
        "project_id": (str,),
        "name": (str,),
        "ip_version": (int,),
        "cidr": (str,),
        "gateway_ip": (str, None),
        "enable_dhcp": (bool,),
        "allocation_pools": (list,),
        "dns_nameservers": (list,),
        "host_routes": (list,),
    },
    "ports": {
        "id": (str,),
        "network_id": (str,),
        "project_id": (str,),
        "name": (str,),
        "admin_state_up": (bool,),
        "mac_address": (str,),
        "fixed_ips": (list,),
        "device_id": (str,),
        "device_owner": (str,),
        "host": (str,),
        "vnic_type": (str,),
        "security_groups": (list,),
    },
}


def _wrong_type(value, types):
    if value is None:
        return None not in types
    # A bool is an int to Python, not to a controller.
    return not any(type(value) is allowed for allowed in types if allowed is not None)


def _bad_values(kind, document):
    if kind == "subnets":
        try:
            version = ipaddress.ip_network(document["cidr"]).version
        except ValueError as error:
            return [f"cidr: {error}"]
        if version != document["ip_version"]:
            return [f"ip_version {document['ip_version']} does not fit to {document['cidr']}"]
    if kind == "ports":
        problems = []
        if not MAC_ADDRESS.fullmatch(document["mac_address"]):
            problems.append(f"mac_address {document['mac_address']!r} is none")
        for address in document["fixed_ips"]:
            try:
                ipaddress.ip_address(address["ip_address"])
            except (KeyError, TypeError, ValueError):
                problems.append(f"fixed_ips: {address!r} has no valid ip_address")
        return problems
    return []


def problems_of(kind, resource_id, document):
    """Everything that is wrong with a document, as sentences; empty when it is good."""
    if not isinstance(document, dict):
        return ["the body is not a JSON object"]
    problems = []
    for field, types in FIELDS[kind].items():
        if field not in document:
            problems.append(f"{field} is missing")
        elif _wrong_type(document[field], types):
            problems.append(f"{field} has the wrong type {type(document[field]).__name__}")
    problems += [f"{field} is unknown" for field in document if field not in FIELDS[kind]]
    if problems:
        return problems
    if document["id"] != resource_id:
        problems.append(f"id {document['id']!r} is not the one of the URL")
    return problems + _bad_values(kind, document)
