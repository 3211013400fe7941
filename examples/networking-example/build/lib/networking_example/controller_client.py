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

"""Talk to the controller: one JSON document per network, subnet or port.

PUT    /networks/<id>    create or replace
DELETE /networks/<id>    delete; 404 means that it is gone already
"""

import requests
from neutron_lib import exceptions
from requests.adapters import HTTPAdapter
from urllib3.util.retry import Retry

# Threads of one API process that may talk to the controller at once and keep their connection.
CONNECTIONS = 20
# Both verbs are idempotent, so a request may be repeated when a kept connection turns out to be
# closed by the other side. Answers are never repeated: the controller has decided.
RETRY = Retry(total=1, status=0, redirect=0, allowed_methods=["PUT", "DELETE"])


class ControllerUnreachable(exceptions.ServiceUnavailable):
    """Nobody answered in time. Neutron's API shows it as 503: the user may try again."""

    message = "The controller did not answer %(method)s %(url)s: %(reason)s"


class ControllerRefused(exceptions.NeutronException):
    """The controller answered with an error. Neutron's API shows it as 500."""

    message = "The controller refused %(method)s %(url)s with %(status)s: %(reason)s"


class ControllerClient:
    """Keeps connections to one controller open; threads of a process may share it."""

    def __init__(self, url, timeout):
        """Open no connection yet, so that it can be made before a server forks its workers.

        :param url: root URL of the controller.
        :param timeout: seconds to wait for a connection, and then for an answer.
        """
        self._url = url.rstrip("/")
        self._timeout = timeout
        self._session = requests.Session()
        # Without this, requests looks for proxies and .netrc in the environment on every call.
        self._session.trust_env = False
        adapter = HTTPAdapter(pool_connections=1, pool_maxsize=CONNECTIONS, max_retries=RETRY)
        self._session.mount("http://", adapter)
        self._session.mount("https://", adapter)

    def put(self, kind, resource_id, body):
        """Create or replace a resource.

        :param kind: "networks", "subnets" or "ports".
        :raises ControllerUnreachable: no connection, or no answer in time.
        :raises ControllerRefused: any status but 2xx.
        """
        self._request("PUT", kind, resource_id, json=body)

    def delete(self, kind, resource_id):
        """Delete a resource; one that is gone already is no error.

        :raises ControllerUnreachable: no connection, or no answer in time.
        :raises ControllerRefused: any status but 2xx and 404.
        """
        self._request("DELETE", kind, resource_id, also_fine=(404,))

    def _request(self, method, kind, resource_id, json=None, also_fine=()):
        url = f"{self._url}/{kind}/{resource_id}"
        try:
            response = self._session.request(method, url, json=json, timeout=self._timeout, allow_redirects=False)
        except requests.RequestException as error:
            raise ControllerUnreachable(method=method, url=url, reason=error) from error
        if not 200 <= response.status_code < 300 and response.status_code not in also_fine:
            raise ControllerRefused(method=method, url=url, status=response.status_code, reason=response.text[:500])
