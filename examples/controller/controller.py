# Licensed under the Apache License, Version 2.0; see the file LICENSE of this repository.
"""A small SDN controller for the example driver: it keeps what the driver sends.

    PUT    /networks|subnets|ports/<id>   create (201) or replace (200); 400 says what is wrong with the body
    GET    /networks|subnets|ports/<id>   one document, or 404
    DELETE /networks|subnets|ports/<id>   204, or 404 when it is not there; a subnet takes its addresses off all ports
    GET    /networks|subnets|ports        {"networks": [...]}, in the order of their ids
    GET    /journal                       what happened since the start: counts per kind, refused requests
    GET    /health                        {"status": "ok"}

Only the standard library is needed. State is kept in memory, and with --state-file also written to a file
after each change, so that a restarted controller goes on where it stopped.
"""

import argparse
import contextlib
import json
import os
import signal
import socket
import sys
import threading
from collections import deque
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from document_rules import FIELDS, problems_of

LARGEST_BODY = 1024 * 1024
REFUSALS_KEPT = 100
# Longer than any pause inside a test run, so that the driver's connections stay open.
IDLE_SECONDS = 300


class Store:
    """Documents of the three kinds and the journal; safe for threads."""

    def __init__(self, state_file=None):
        """Start empty, or with what `state_file` holds.

        :raises ValueError: the state file is not one of a controller.
        :raises OSError: the state file cannot be read.
        """
        self._lock = threading.Lock()
        self._state_file = state_file
        self._documents = {kind: {} for kind in FIELDS}
        self._counts = {verb: dict.fromkeys(FIELDS, 0) for verb in ("created", "updated", "deleted")}
        self._refused = 0
        self._refusals = deque(maxlen=REFUSALS_KEPT)
        if state_file is not None and state_file.exists():
            self._load(state_file)

    def put(self, kind, resource_id, document):
        """Create or replace; True when it was created."""
        with self._lock:
            created = resource_id not in self._documents[kind]
            self._documents[kind][resource_id] = document
            self._counts["created" if created else "updated"][kind] += 1
            self._save()
            return created

    def delete(self, kind, resource_id):
        """Delete; False when there was nothing to delete."""
        with self._lock:
            if self._documents[kind].pop(resource_id, None) is None:
                return False
            self._counts["deleted"][kind] += 1
            if kind == "subnets":
                self._release_addresses(resource_id)
            self._save()
            return True

    def _release_addresses(self, subnet_id):
        # Neutron takes automatic IPv6 addresses off the ports together with the subnet, without an
        # update of the ports that a driver could hear of.
        for key, port in self._documents["ports"].items():
            kept = [address for address in port["fixed_ips"] if address.get("subnet_id") != subnet_id]
            self._documents["ports"][key] = {**port, "fixed_ips": kept}

    def get(self, kind, resource_id):
        """One document, or None."""
        with self._lock:
            return self._documents[kind].get(resource_id)

    def list(self, kind):
        """All documents of a kind, in the order of their ids."""
        with self._lock:
            return [document for _, document in sorted(self._documents[kind].items())]

    def refuse(self, method, path, status, problems):
        """Note a request that was refused."""
        with self._lock:
            self._refused += 1
            self._refusals.append({"method": method, "path": path, "status": status, "problems": problems})
            self._save()

    def journal(self):
        """What `GET /journal` answers; the newest refusals are listed, all are counted."""
        with self._lock:
            return self._journal()

    def _journal(self):
        counts = {verb: dict(kinds) for verb, kinds in self._counts.items()}
        return {**counts, "refused": self._refused, "refusals": list(self._refusals)}

    def _save(self):
        if self._state_file is None:
            return
        partial = self._state_file.with_name(self._state_file.name + ".partial")
        partial.write_text(json.dumps({"documents": self._documents, "journal": self._journal()}))
        os.replace(partial, self._state_file)

    def _load(self, state_file):
        try:
            state = json.loads(state_file.read_text())
            journal = state["journal"]
            self._documents = {kind: dict(state["documents"][kind]) for kind in FIELDS}
            self._counts = {verb: {kind: journal[verb][kind] for kind in FIELDS} for verb in self._counts}
            self._refused = int(journal["refused"])
            self._refusals.extend(journal["refusals"])
        except (KeyError, TypeError, ValueError) as error:
            raise ValueError(f"{state_file} is not the state of a controller: {error!r}") from error


class Refusal(Exception):
    """A request that is answered with an error."""

    def __init__(self, status, *problems):
        super().__init__(status, problems)
        self.status = status
        self.problems = list(problems)


class Handler(BaseHTTPRequestHandler):
    """One connection; kept open between requests."""

    protocol_version = "HTTP/1.1"
    server_version = "ExampleController/1.0"
    timeout = IDLE_SECONDS
    # Without both of these each answer waits 40 ms for the peer's delayed acknowledgement.
    disable_nagle_algorithm = True
    wbufsize = -1

    def do_GET(self):
        self._answer(self._get)

    def do_PUT(self):
        self._answer(self._put)

    def do_DELETE(self):
        self._answer(self._delete)

    def do_POST(self):
        self._answer(self._not_allowed)

    do_PATCH = do_POST

    def _get(self):
        parts = self._parts()
        if parts == ["health"]:
            return 200, {"status": "ok"}
        if parts == ["journal"]:
            return 200, self.server.store.journal()
        if len(parts) == 1 and parts[0] in FIELDS:
            return 200, {parts[0]: self.server.store.list(parts[0])}
        kind, resource_id = self._resource(parts)
        document = self.server.store.get(kind, resource_id)
        return (404, {"error": ["not found"]}) if document is None else (200, document)

    def _put(self):
        body = self._body()
        kind, resource_id = self._resource(self._parts())
        try:
            document = json.loads(body)
        except ValueError as error:
            raise Refusal(400, f"the body is not JSON: {error}") from error
        problems = problems_of(kind, resource_id, document)
        if problems:
            raise Refusal(400, *problems)
        created = self.server.store.put(kind, resource_id, document)
        return (201 if created else 200), document

    def _delete(self):
        self._body()
        kind, resource_id = self._resource(self._parts())
        deleted = self.server.store.delete(kind, resource_id)
        return (204, None) if deleted else (404, {"error": ["not found"]})

    def _not_allowed(self):
        self._body()
        raise Refusal(405, f"{self.command} is not supported")

    def _parts(self):
        return [part for part in self.path.partition("?")[0].split("/") if part]

    def _resource(self, parts):
        if len(parts) != 2 or parts[0] not in FIELDS:
            raise Refusal(404, "no such address")
        return parts

    def _body(self):
        # The body is read before anything is refused, or its bytes would be taken for the next request.
        length = self.headers.get("Content-Length", "0")
        if self.headers.get("Transfer-Encoding") or not length.isascii() or not length.isdigit():
            self.close_connection = True
            raise Refusal(411, "a Content-Length is needed")
        if int(length) > LARGEST_BODY:
            self.close_connection = True
            raise Refusal(413, f"more than {LARGEST_BODY} bytes")
        return self.rfile.read(int(length))

    def _answer(self, act):
        try:
            status, document = act()
        except Refusal as refusal:
            status, document = refusal.status, {"error": refusal.problems}
            self.server.store.refuse(self.command, self.path, status, refusal.problems)
            self.log_message("refused %s %s: %s", self.command, self.path, "; ".join(refusal.problems))
        except OSError as error:
            status, document = 507, {"error": [f"cannot store it: {error}"]}
            self.log_message("%s %s: %s", self.command, self.path, error)
        content = b"" if document is None else json.dumps(document).encode()
        self.send_response(status)
        if status != 204:
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(content)))
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(content)
        self.wfile.flush()

    def log_request(self, code="-", size="-"):
        if self.server.verbose:
            super().log_request(code, size)


class Controller(ThreadingHTTPServer):
    """The server; `server_address` tells the port when 0 was asked for."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, host, port, store, verbose=False):
        """Listen at once.

        :raises OSError: the address cannot be used.
        """
        self.store = store
        self.verbose = verbose
        if ":" in host:
            self.address_family = socket.AF_INET6
        super().__init__((host, port), Handler)

    def server_bind(self):
        # HTTPServer would look its own name up in DNS, which can take seconds.
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.socket.bind(self.server_address)
        self.server_address = self.socket.getsockname()
        self.server_name, self.server_port = self.server_address[:2]

    def handle_error(self, request, client_address):
        # A client that goes away is no news; anything else is a bug and shows its traceback.
        if not isinstance(sys.exc_info()[1], ConnectionError | TimeoutError):
            super().handle_error(request, client_address)


def _arguments():
    parser = argparse.ArgumentParser(description="A small controller for the example ML2 driver.")
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default: %(default)s)")
    parser.add_argument("--port", type=int, default=8181, help="0 takes a free one (default: %(default)s)")
    parser.add_argument("--state-file", type=Path, help="keep the state in this file")
    parser.add_argument("--verbose", action="store_true", help="log every request, not only refused ones")
    return parser.parse_args()


def main():
    """Serve until SIGTERM or SIGINT; 2 when the address or the state file cannot be used."""
    arguments = _arguments()
    try:
        store = Store(arguments.state_file)
        controller = Controller(arguments.host, arguments.port, store, arguments.verbose)
    except (OSError, OverflowError, ValueError) as error:
        print(f"cannot serve on {arguments.host} port {arguments.port}: {error}", file=sys.stderr)
        return 2

    def stop(_number, _frame):
        # shutdown() waits for serve_forever(), which this handler is interrupting.
        threading.Thread(target=controller.shutdown).start()

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
    print(f"listening on {controller.server_name} port {controller.server_port}", flush=True)
    with contextlib.closing(controller.socket):
        controller.serve_forever(poll_interval=0.1)
    print("stopped", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
