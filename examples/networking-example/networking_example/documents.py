# Licensed under the Apache License, Version 2.0 (the "License"); you may
# not use this file except in compliance with the License. You may obtain
# a copy of the License at
#
#      http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software
# distributed under the License is distributed on an "AS IS" BASIS, WITHOUT
# WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the
# License for the specific language governing permissions and limitations
# under the License.

"""What the controller is told about a network, a subnet and a port."""

from neutron_lib.api.definitions import external_net, portbindings
from neutron_lib.plugins.ml2 import api


def network_document(context):
    """The document of an ML2 NetworkContext; its segments come in ML2's order."""
    network = context.current
    return {
        "id": network["id"],
        "project_id": network["tenant_id"],
        "name": network["name"],
        "admin_state_up": network["admin_state_up"],
        "mtu": network["mtu"],
        "external": network.get(external_net.EXTERNAL, False),
        "segments": [
            {
                "network_type": segment[api.NETWORK_TYPE],
                "physical_network": segment[api.PHYSICAL_NETWORK],
                "segmentation_id": segment[api.SEGMENTATION_ID],
            }
            for segment in context.network_segments
        ],
    }


def subnet_document(context):
    """The document of an ML2 SubnetContext."""
    subnet = context.current
    return {
        "id": subnet["id"],
        "network_id": subnet["network_id"],
        "project_id": subnet["tenant_id"],
        "name": subnet["name"],
        "ip_version": subnet["ip_version"],
        "cidr": subnet["cidr"],
        "gateway_ip": subnet["gateway_ip"],
        "enable_dhcp": subnet["enable_dhcp"],
        "allocation_pools": [{"start": pool["start"], "end": pool["end"]} for pool in subnet["allocation_pools"]],
        "dns_nameservers": list(subnet["dns_nameservers"]),
        "host_routes": [
            {"destination": route["destination"], "nexthop": route["nexthop"]} for route in subnet["host_routes"]
        ],
    }


def port_document(context):
    """The document of an ML2 PortContext.

    The status is left out on purpose: drivers and agents report it to Neutron, not the other way.
    """
    port = context.current
    return {
        "id": port["id"],
        "network_id": context.network.current["id"],
        "project_id": port["tenant_id"],
        "name": port["name"],
        "admin_state_up": port["admin_state_up"],
        "mac_address": port["mac_address"],
        "fixed_ips": [
            {"subnet_id": address["subnet_id"], "ip_address": address["ip_address"]} for address in port["fixed_ips"]
        ],
        "device_id": port["device_id"],
        "device_owner": port["device_owner"],
        "host": context.host or "",
        "vnic_type": port[portbindings.VNIC_TYPE],
        "security_groups": sorted(port["security_groups"]),
    }
