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

"""A real HTTP server that plays the controller for the tests of the driver."""

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1

    def _note(self):
        length = int(self.headers.get("Content-Length", 0))
        body = json.loads(self.rfile.read(length)) if length else None
        self.server.requests.append((self.command, self.path, body))
        self.server.peers.add(self.client_address)
        status = self.server.statuses.pop(0) if self.server.statuses else 200
        if status == "silence":
            self.server.released.wait(10)
            self.close_connection = True
            return
        self.send_response(status)
        self.send_header("Content-Length", "0")
        self.end_headers()
        if self.server.hang_up_after_answers:
            # Without saying so: what a server does to a connection that has been idle for too long.
            self.close_connection = True

    do_PUT = do_DELETE = _note

    def log_message(self, *_arguments):
        """Keep the output of the tests clean."""


class FakeController(ThreadingHTTPServer):
    """Notes requests and answers 200, or the next one of `statuses`; "silence" gives no answer."""

    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), _Handler)
        self.requests = []
        self.peers = set()
        self.statuses = []
        self.hang_up_after_answers = False
        self.released = threading.Event()
        self.url = f"http://127.0.0.1:{self.server_port}"
        self._thread = threading.Thread(target=self.serve_forever, args=(0.01,))
        self._thread.start()

    def stop(self):
        """Release whoever waits, and close the port."""
        self.released.set()
        self.shutdown()
        self._thread.join()
        self.server_close()
