# Licensed under the Apache License, Version 2.0; see the file LICENSE of this repository.
"""Create, update and delete resources in Neutron and see whether the controller follows."""

import uuid

import api_clients
import comparison

# Addresses that are routed nowhere: documentation prefixes of RFC 5737 and RFC 3849.
_SUBNETS = (
    {"ip_version": 4, "cidr": "192.0.2.0/24", "dns_nameservers": ["192.0.2.2", "192.0.2.1"]},
    {"ip_version": 6, "cidr": "2001:db8::/64", "enable_dhcp": False},
)


class _Exercise:
    def __init__(self, neutron, controller):
        self._neutron = neutron
        self._controller = controller
        self._made = []
        self._name = f"ci-check-{uuid.uuid4().hex[:8]}"
        self.differences = []

    def create(self, kind, attributes):
        resource = self._neutron.create(kind, {"name": self._name, **attributes})
        self._made.append((kind, resource["id"]))
        return resource["id"]

    def compare(self, when):
        """Only what this exercise made: the rest has been compared before."""
        for kind in comparison.KINDS:
            ours = {key for made, key in self._made if made == kind}
            resources, documents = self._neutron.list(kind), self._controller.list(kind)
            for key in sorted(ours):
                if key in resources and key not in documents:
                    self.differences.append(f"{when}: {kind[:-1]} {key} is not in the controller")
                elif key in resources:
                    found = comparison.differing_fields(kind, resources[key], documents[key])
                    self.differences += [f"{when}: {sentence}" for sentence in found]
                else:
                    self.differences.append(f"{when}: {kind[:-1]} {key} is gone from Neutron")

    def create_all(self):
        network = self.create("networks", {})
        addresses = []
        for subnet in _SUBNETS:
            addresses.append({"subnet_id": self.create("subnets", {"network_id": network, **subnet})})
        self.create("ports", {"network_id": network, "fixed_ips": addresses, "binding:host_id": "ci-check-host"})
        self.compare("after creating")

    def update_all(self):
        for kind, key in self._made:
            self._neutron.update(kind, key, {"name": f"{self._name}-renamed"})
        self.compare("after renaming")

    def delete_all(self):
        """Delete whatever there is, ports first, and see that the controller has forgotten it."""
        made, unanswered = [], None
        for kind in reversed(comparison.KINDS):
            for key in self._to_delete(kind):
                made.append((kind, key))
                try:
                    self._neutron.delete(kind, key)
                except api_clients.Refused as error:
                    if error.status != 404:
                        self.differences.append(f"while deleting: {error}")
                except api_clients.CannotAsk as error:
                    # The others may still be removed.
                    unanswered = unanswered or error
        if unanswered is not None:
            raise unanswered
        for kind, key in made:
            if key in self._controller.list(kind):
                self.differences.append(f"after deleting: {kind[:-1]} {key} is still in the controller")

    def _to_delete(self, kind):
        # A creation that was not answered in time may have happened all the same: ask by name, too.
        named = {key for key, shown in self._neutron.list(kind).items() if shown.get("name", "").startswith(self._name)}
        return sorted(named | {key for made, key in self._made if made == kind})


def differences_while_changing(neutron, controller):
    """Run the exercise; one sentence for each thing that went wrong. What it made is removed in any case.

    :raises api_clients.CannotAsk: Neutron or the controller stopped answering; Neutron's error to a change is
        such a case when the controller does not answer either, because then the driver is not to blame.
    """
    run = _Exercise(neutron, controller)
    try:
        run.create_all()
        run.update_all()
    except api_clients.Refused as error:
        run.differences.append(f"while changing: {error}")
    finally:
        run.delete_all()
    if run.differences:
        controller.expect_alive()
    return run.differences
