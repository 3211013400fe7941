# Licensed under the Apache License, Version 2.0; see the file LICENSE of this repository.
"""What Neutron's API shows against what the controller holds.

This is written from Neutron's API reference and does not import the driver, whose mistakes it is to find.
"""

import re
import time

KINDS = ("networks", "subnets", "ports")
# The driver does not mirror ports that have one binding for each host.
DISTRIBUTED = "network:router_interface_distributed"
# A delivery may be under way while it is read; a difference that is still there afterwards is real.
SECOND_LOOK_AFTER = 0.5

_AS_NEUTRON_SHOWS_IT = {
    "networks": ("id", "project_id", "name", "admin_state_up", "mtu"),
    "subnets": (
        "id",
        "network_id",
        "project_id",
        "name",
        "ip_version",
        "cidr",
        "gateway_ip",
        "enable_dhcp",
        "allocation_pools",
        "dns_nameservers",
        "host_routes",
    ),
    "ports": (
        "id",
        "network_id",
        "project_id",
        "name",
        "admin_state_up",
        "mac_address",
        "fixed_ips",
        "device_id",
        "device_owner",
        "security_groups",
    ),
}
_OTHER_NAMES = {
    "networks": {"external": "router:external"},
    "subnets": {},
    "ports": {"host": "binding:host_id", "vnic_type": "binding:vnic_type"},
}
# Lists that Neutron gives in no certain order; that of name servers is one, and segments have theirs.
_UNORDERED = {"allocation_pools", "host_routes", "fixed_ips", "security_groups"}
_SEGMENT_FIELDS = ("network_type", "physical_network", "segmentation_id")
_POSTCOMMIT = re.compile(r"\b(create|delete)_(network|subnet|port)_postcommit called")


def expected_document(kind, resource):
    """The document the controller should hold for a resource of Neutron's API, seen by an administrator."""
    document = {field: resource.get(field) for field in _AS_NEUTRON_SHOWS_IT[kind]}
    document.update({field: resource.get(name) for field, name in _OTHER_NAMES[kind].items()})
    if kind == "networks":
        segments = resource.get("segments") or [resource]
        document["segments"] = [
            {field: segment.get(f"provider:{field}") for field in _SEGMENT_FIELDS} for segment in segments
        ]
    return document


def _comparable(field, value):
    if field in _UNORDERED and isinstance(value, list):
        return sorted(value, key=repr)
    return value


def differing_fields(kind, resource, document):
    """One sentence for each field in which the controller's document differs."""
    label = f"{kind[:-1]} {resource['id']}"
    expected = expected_document(kind, resource)
    sentences = []
    for field in sorted(expected.keys() | document.keys()):
        if field not in document:
            sentences.append(f"{label}: the controller has no {field}; Neutron has {expected[field]!r}")
        elif field not in expected:
            sentences.append(f"{label}: the controller has an unknown field {field}: {document[field]!r}")
        elif _comparable(field, expected[field]) != _comparable(field, document[field]):
            sentences.append(
                f"{label}: {field} is {expected[field]!r} in Neutron, {document[field]!r} in the controller"
            )
    return sentences


def differences(neutron, controller):
    """Compare all resources in both directions; one sentence for each difference.

    :raises api_clients.CannotAsk: one of the two does not answer.
    """
    sentences = []
    for kind in KINDS:
        resources, documents = neutron.list(kind), controller.list(kind)
        distributed = {key for key, resource in resources.items() if resource.get("device_owner") == DISTRIBUTED}
        for key in sorted((resources.keys() | documents.keys()) - distributed):
            name = repr((resources.get(key) or documents.get(key)).get("name", ""))
            if key not in documents:
                sentences.append(f"{kind[:-1]} {key} ({name}): Neutron has it, the controller does not")
            elif key not in resources:
                sentences.append(f"{kind[:-1]} {key} ({name}): the controller has it, Neutron does not")
            else:
                sentences += differing_fields(kind, resources[key], documents[key])
    return sentences


def lasting_differences(neutron, controller):
    """As `differences`, but only those that two looks in a row have seen."""
    first = differences(neutron, controller)
    if not first:
        return []
    time.sleep(SECOND_LOOK_AFTER)
    second = set(differences(neutron, controller))
    return [sentence for sentence in first if sentence in second]


def postcommits_in(log):
    """What ML2's ``logger`` driver wrote of its own calls: {("created", "ports"): 12, ...}; ``log`` gives lines."""
    found = {}
    for line in log:
        match = _POSTCOMMIT.search(line)
        if match:
            key = (f"{match[1]}d", f"{match[2]}s")
            found[key] = found.get(key, 0) + 1
    return found


def journal_gaps(journal, happened=None):
    """One sentence for each kind that was never created or never deleted, and one if anything was refused.

    ``happened`` is what postcommits_in() found: a shard whose tests made no port cannot have told of one. Without it
    all kinds are demanded.
    """
    sentences = []
    for verb in ("created", "deleted"):
        for kind in KINDS:
            if not journal[verb].get(kind) and (happened is None or happened.get((verb, kind))):
                sentences.append(f"during the tests the controller never saw that {kind} were {verb}")
    if journal["refused"]:
        refusals = journal.get("refusals") or [{}]
        last = refusals[-1]
        what = f"{last.get('method')} {last.get('path')}: {'; '.join(last.get('problems', []))}"
        sentences.append(f"the controller refused {journal['refused']} request(s), the last one {what}")
    return sentences
