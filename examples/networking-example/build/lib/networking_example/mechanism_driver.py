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

"""The ML2 mechanism driver `example`."""

from neutron_lib import constants
from neutron_lib.plugins.ml2 import api
from oslo_config import cfg
from oslo_log import log

from networking_example import controller_client, documents, options

LOG = log.getLogger(__name__)


class ExampleMechanismDriver(api.MechanismDriver):
    """Mirror networks, subnets and ports to an external controller.

    The controller is told in `*_postcommit`: outside of the database transaction, where a driver may
    block, and only about what was really stored. What an exception there means is ML2's decision:

    * create: ML2 deletes the resource again (so the driver's delete is called) and the API request
      fails: with 503 when the controller did not answer, with 500 when it refused.
    * update of a network or subnet: Neutron keeps the new values and the API request fails.
    * update of a port, and every delete: Neutron logs the error and the API request succeeds. The
      controller then holds old data; see "Known limits" in README.md.

    The driver binds no ports (it has no `bind_port`), so it is used together with one that does.
    """

    def initialize(self):
        """Read [ml2_example] and make the client.

        The controller need not be up: it is asked first when a resource changes, so Neutron can be
        started before it and answers all that only reads. Asking here would also open connections
        that uWSGI then shares between the workers it forks.

        :raises oslo_config.cfg.RequiredOptError: url is not set; Neutron does not start.
        """
        options.register_options(cfg.CONF)
        settings = cfg.CONF[options.GROUP]
        if not settings.url:
            raise cfg.RequiredOptError("url", cfg.OptGroup(options.GROUP))
        self._client = controller_client.ControllerClient(settings.url, settings.timeout)
        LOG.info("Mirroring networks, subnets and ports to %s", settings.url)

    def create_network_postcommit(self, context):
        self._client.put("networks", context.current["id"], documents.network_document(context))

    def update_network_postcommit(self, context):
        self._client.put("networks", context.current["id"], documents.network_document(context))

    def delete_network_postcommit(self, context):
        self._client.delete("networks", context.current["id"])

    def create_subnet_postcommit(self, context):
        self._client.put("subnets", context.current["id"], documents.subnet_document(context))

    def update_subnet_postcommit(self, context):
        self._client.put("subnets", context.current["id"], documents.subnet_document(context))

    def delete_subnet_postcommit(self, context):
        self._client.delete("subnets", context.current["id"])

    def create_port_postcommit(self, context):
        self._put_port(context)

    def update_port_postcommit(self, context):
        self._put_port(context)

    def delete_port_postcommit(self, context):
        self._client.delete("ports", context.current["id"])

    def _put_port(self, context):
        # ML2 tells drivers about such a port once for each host, and nothing when there is none yet.
        if context.current["device_owner"] == constants.DEVICE_OWNER_DVR_INTERFACE:
            return
        self._client.put("ports", context.current["id"], documents.port_document(context))
