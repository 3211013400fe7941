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

"""The driver with Neutron's own contexts, so that a change of Neutron's that breaks it is seen here, too."""

import unittest
from unittest import mock

import stevedore
from neutron.plugins.ml2 import driver_context, models
from neutron.plugins.ml2.common import exceptions as ml2_exceptions
from neutron_lib import exceptions
from neutron_lib.plugins.ml2 import api
from oslo_config import cfg, fixture

from networking_example import controller_client, mechanism_driver, options
from networking_example.tests.unit import fake_controller

NETWORK = {
    "id": "n1",
    "tenant_id": "t1",
    "name": "net",
    "admin_state_up": True,
    "mtu": 1450,
    "router:external": True,
    "shared": False,
}
SEGMENT = {"id": "g1", "network_type": "vxlan", "physical_network": None, "segmentation_id": 7}
SUBNET = {
    "id": "s1",
    "network_id": "n1",
    "tenant_id": "t1",
    "name": "sub",
    "ip_version": 4,
    "cidr": "192.0.2.0/24",
    "gateway_ip": None,
    "enable_dhcp": True,
    "allocation_pools": [{"start": "192.0.2.2", "end": "192.0.2.254"}],
    "dns_nameservers": ["192.0.2.53"],
    "host_routes": [{"destination": "198.51.100.0/24", "nexthop": "192.0.2.9"}],
}
PORT = {
    "id": "p1",
    "network_id": "n1",
    "tenant_id": "t1",
    "name": "port",
    "admin_state_up": False,
    "mac_address": "fa:16:3e:00:00:01",
    "fixed_ips": [{"subnet_id": "s1", "ip_address": "192.0.2.5"}, {"subnet_id": "s2", "ip_address": "2001:db8::5"}],
    "device_id": "d1",
    "device_owner": "compute:nova",
    "status": "DOWN",
    "binding:host_id": "host1",
    "binding:vnic_type": "normal",
    "security_groups": ["g2", "g1"],
}


def network_context(**changes):
    return driver_context.NetworkContext(mock.Mock(), mock.Mock(), {**NETWORK, **changes}, segments=[SEGMENT])


def subnet_context():
    return driver_context.SubnetContext(mock.Mock(), mock.Mock(), SUBNET, None)


def port_context(**changes):
    binding = models.PortBinding(port_id="p1", host="host1", vif_type="unbound")
    return driver_context.PortContext(
        mock.Mock(), mock.Mock(), {**PORT, **changes}, network_context(), binding, binding_levels=None
    )


class MechanismDriverTest(unittest.TestCase):
    def setUp(self):
        self.controller = fake_controller.FakeController()
        self.addCleanup(self.controller.stop)
        options.register_options(cfg.CONF)
        self.config = fixture.Config(cfg.CONF)
        self.config.setUp()
        self.addCleanup(self.config.cleanUp)
        self.config.config(group=options.GROUP, url=self.controller.url, timeout=2)
        self.driver = mechanism_driver.ExampleMechanismDriver()
        self.driver.initialize()

    def test_initialize_does_not_ask_the_controller(self):
        self.assertEqual([], self.controller.requests)

    def test_initialize_needs_a_url(self):
        self.config.config(group=options.GROUP, url=None)
        with self.assertRaisesRegex(cfg.RequiredOptError, "url.*ml2_example"):
            mechanism_driver.ExampleMechanismDriver().initialize()

    def test_create_and_update_of_a_network_send_the_document(self):
        document = {
            "id": "n1",
            "project_id": "t1",
            "name": "net",
            "admin_state_up": True,
            "mtu": 1450,
            "external": True,
            "segments": [{"network_type": "vxlan", "physical_network": None, "segmentation_id": 7}],
        }
        self.driver.create_network_postcommit(network_context())
        self.driver.update_network_postcommit(network_context(name="new"))
        self.assertEqual(
            [("PUT", "/networks/n1", document), ("PUT", "/networks/n1", {**document, "name": "new"})],
            self.controller.requests,
        )

    def test_create_and_update_of_a_subnet_send_the_document(self):
        document = {key: value for key, value in SUBNET.items() if key != "tenant_id"} | {"project_id": "t1"}
        self.driver.create_subnet_postcommit(subnet_context())
        self.driver.update_subnet_postcommit(subnet_context())
        self.assertEqual([("PUT", "/subnets/s1", document)] * 2, self.controller.requests)

    def test_create_and_update_of_a_port_send_the_document(self):
        left_out = {"tenant_id", "status", "binding:host_id", "binding:vnic_type"}
        document = {key: value for key, value in PORT.items() if key not in left_out}
        document |= {"project_id": "t1", "host": "host1", "vnic_type": "normal", "security_groups": ["g1", "g2"]}
        self.driver.create_port_postcommit(port_context())
        self.driver.update_port_postcommit(port_context(name="new"))
        self.assertEqual(
            [("PUT", "/ports/p1", document), ("PUT", "/ports/p1", {**document, "name": "new"})],
            self.controller.requests,
        )

    def test_deletes(self):
        self.driver.delete_port_postcommit(port_context())
        self.driver.delete_subnet_postcommit(subnet_context())
        self.driver.delete_network_postcommit(network_context())
        self.assertEqual(
            [("DELETE", "/ports/p1", None), ("DELETE", "/subnets/s1", None), ("DELETE", "/networks/n1", None)],
            self.controller.requests,
        )

    def test_a_port_of_a_distributed_router_is_not_mirrored(self):
        self.driver.create_port_postcommit(port_context(device_owner="network:router_interface_distributed"))
        self.assertEqual([], self.controller.requests)

    def test_the_driver_does_not_bind(self):
        self.assertFalse(self.driver._supports_port_binding)

    def test_errors_reach_the_user_through_ml2(self):
        refused = controller_client.ControllerRefused(method="PUT", url="http://c", status=400, reason="no")
        self.controller.statuses = [400]
        with self.assertRaises(controller_client.ControllerRefused):
            self.driver.create_port_postcommit(port_context())
        wrapped = ml2_exceptions.MechanismDriverError("create_port_postcommit", [refused])
        self.assertIn("refused PUT http://c with 400", str(wrapped.inner_exceptions[0]))
        # The API maps this class to 503; see neutron_lib.api.faults.
        self.assertTrue(issubclass(controller_client.ControllerUnreachable, exceptions.ServiceUnavailable))

    def test_neutron_finds_the_entry_point(self):
        found = stevedore.DriverManager("neutron.ml2.mechanism_drivers", "example", invoke_on_load=True)
        self.assertIsInstance(found.driver, api.MechanismDriver)

    def test_the_options_are_listed_for_the_sample_file(self):
        found = stevedore.DriverManager("oslo.config.opts", "networking_example", invoke_on_load=True)
        self.assertEqual(
            [("ml2_example", ["url", "timeout"])], [(g, [o.name for o in opts]) for g, opts in found.driver]
        )
