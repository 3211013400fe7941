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

import socket
import unittest

from networking_example import controller_client
from networking_example.tests.unit import fake_controller


class ControllerClientTest(unittest.TestCase):
    def setUp(self):
        self.controller = fake_controller.FakeController()
        self.addCleanup(self.controller.stop)
        self.client = controller_client.ControllerClient(self.controller.url + "/", 0.3)

    def test_put_sends_the_document(self):
        self.client.put("networks", "n1", {"id": "n1", "name": "größe"})
        self.assertEqual([("PUT", "/networks/n1", {"id": "n1", "name": "größe"})], self.controller.requests)

    def test_one_connection_serves_many_requests(self):
        for number in range(5):
            self.client.put("ports", f"p{number}", {})
        self.client.delete("ports", "p0")
        self.assertEqual(6, len(self.controller.requests))
        self.assertEqual(1, len(self.controller.peers))

    def test_a_kept_connection_that_was_closed_is_replaced(self):
        self.controller.hang_up_after_answers = True
        self.client.put("ports", "p1", {})
        self.client.put("ports", "p2", {})
        self.assertEqual(["/ports/p1", "/ports/p2"], [path for _, path, _ in self.controller.requests])

    def test_delete_of_what_is_gone_is_fine(self):
        self.controller.statuses = [404]
        self.client.delete("subnets", "s1")
        self.assertEqual([("DELETE", "/subnets/s1", None)], self.controller.requests)

    def test_put_to_a_wrong_address_is_not_fine(self):
        self.controller.statuses = [404]
        with self.assertRaisesRegex(controller_client.ControllerRefused, "PUT .*/subnets/s1 with 404"):
            self.client.put("subnets", "s1", {})

    def test_an_error_is_not_repeated(self):
        self.controller.statuses = [500, 200]
        with self.assertRaises(controller_client.ControllerRefused):
            self.client.put("networks", "n1", {})
        self.assertEqual(1, len(self.controller.requests))

    def test_a_redirect_is_refused(self):
        self.controller.statuses = [302]
        with self.assertRaisesRegex(controller_client.ControllerRefused, "302"):
            self.client.delete("networks", "n1")

    def test_silence_ends_with_the_time_out_after_one_repetition(self):
        self.controller.statuses = ["silence", "silence", 200]
        with self.assertRaisesRegex(controller_client.ControllerUnreachable, "timed out"):
            self.client.put("networks", "n1", {})
        self.assertEqual(2, len(self.controller.requests))

    def test_nobody_listens(self):
        with socket.socket() as unused:
            unused.bind(("127.0.0.1", 0))
            client = controller_client.ControllerClient(f"http://127.0.0.1:{unused.getsockname()[1]}", 0.3)
            with self.assertRaisesRegex(controller_client.ControllerUnreachable, "refused"):
                client.delete("networks", "n1")
