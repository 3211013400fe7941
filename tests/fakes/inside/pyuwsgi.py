"""Stands in for uWSGI serving Keystone or Neutron: as much of their APIs as the local gate asks when it starts.

It behaves as the files in the folder that BUILD_FAKE_OPENSTACK names say, NAME being keystone or neutron:

    NAME.json    {"says": text, "exits": code}      ends at once, as a service that cannot start
                 {"listens_after": seconds}         late
                 {"ends_after": seconds}            takes its time when SIGTERM comes
                 {"loads": [driver, ...]}           Neutron logs these instead of what it found
    NAME.dies    it ends by itself with the exit code in it
    NAME.hangs   "idle": answers nobody; "busy": answers nobody and works

What the loaded drivers do to tests, their ``behaviour``, Neutron tells at /fake/behaviour; at /fake/crash it ends.
"""

import argparse
import configparser
import importlib.metadata
import json
import os
import signal
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

CONTROL = Path(os.environ["BUILD_FAKE_OPENSTACK"])
BUILT_IN = ("logger",)
# What uWSGI ends with when there is no application (--need-app).
NO_APPLICATION = 22


def behaviour(name):
    try:
        return json.loads((CONTROL / f"{name}.json").read_text())
    except FileNotFoundError:
        return {}


def end(code):
    sys.stdout.flush()
    os._exit(code)


def neutron_starts(wanted):
    """Read the configuration and load the mechanism drivers, as Neutron does, logging what it logs."""
    parser = configparser.ConfigParser(interpolation=None, strict=False)
    parser.read(os.environ["OS_NEUTRON_CONFIG_FILES"].split(";"))
    names = [name.strip() for name in parser.get("ml2", "mechanism_drivers").split(",")]
    points = {point.name: point for point in importlib.metadata.entry_points(group="neutron.ml2.mechanism_drivers")}
    with open(parser.defaults()["log_file"], "a") as log:
        missing = [name for name in names if name not in points and name not in BUILT_IN]
        if "loads" in wanted:
            names, missing = wanted["loads"], []
        if missing:
            give_up(log, f"The following mechanism drivers were not found: {set(missing)}")
        for name in set(names) & set(points):
            try:
                Api.behaviour.update(getattr(points[name].load(), "behaviour", {}))
            except Exception as error:
                text = f"The '{points[name]!r}' entrypoint could not be loaded for the following reason: '{error}'."
                give_up(log, text)
        log.write(f"{now()} INFO neutron.plugins.ml2.managers [-] Loaded mechanism driver names: {names!r}\n")


def give_up(log, text):
    log.write(f"{now()} CRITICAL neutron.plugins.ml2.managers [-] {text}\n")
    log.flush()
    print(text)
    end(NO_APPLICATION)


def now():
    return f"{time.strftime('%Y-%m-%d %H:%M:%S')}.000 {os.getpid()}"


class Api(BaseHTTPRequestHandler):
    """Keystone and Neutron at once: only paths tell them apart."""

    name = ""
    behaviour = {}

    def do_GET(self):
        self.hang()
        if self.path == "/fake/behaviour":
            self.answer(200, self.behaviour)
        elif self.path == "/fake/crash":
            end(1)
        elif self.path.startswith("/v2.0/extensions"):
            self.with_token(200, {"extensions": [{"alias": "router"}, {"alias": "security-group"}]})
        else:
            self.answer(200, {"versions": []})

    def do_POST(self):
        self.hang()
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        kind = self.path.rpartition("/")[2]
        if kind == "tokens":
            self.answer(201, {"token": {}}, {"X-Subject-Token": "a-token"})
        else:
            self.with_token(201, {kind.removesuffix("s"): {"id": f"id-of-{kind}"}})

    def with_token(self, status, body):
        if self.headers.get("X-Auth-Token") == "a-token":
            self.answer(status, body)
        else:
            self.answer(401, {"error": "no token"})

    def hang(self):
        file = CONTROL / f"{self.name}.hangs"
        while file.exists():
            if file.read_text() == "idle":
                time.sleep(0.05)

    def answer(self, status, body, headers=None):
        text = json.dumps(body).encode()
        self.send_response(status)
        for name, value in {**(headers or {}), "Content-Length": str(len(text))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, *words):
        """uWSGI is told not to log requests."""


def die_on_demand(name):
    file = CONTROL / f"{name}.dies"
    while not file.exists():
        time.sleep(0.02)
    end(int(file.read_text() or "1"))


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--http-socket")
    parser.add_argument("--wsgi-file", type=Path)
    given, _ = parser.parse_known_args()
    name = given.wsgi_file.stem.removesuffix("_app")
    wanted = behaviour(name)
    if "exits" in wanted:
        print(wanted.get("says", ""))
        end(wanted["exits"])
    slow = wanted.get("ends_after", 0)
    signal.signal(signal.SIGTERM, lambda number, frame: (time.sleep(slow), end(30)))
    threading.Thread(target=die_on_demand, args=(name,), daemon=True).start()
    time.sleep(wanted.get("listens_after", 0))
    if name == "neutron":
        neutron_starts(wanted)
    Api.name = name
    host, _, port = given.http_socket.rpartition(":")
    try:
        server = ThreadingHTTPServer((host, int(port)), Api)
    except OSError as error:
        print(f"probably another instance of uWSGI is running on the same address. bind(): {error.strerror}")
        end(1)
    server.daemon_threads = True
    server.serve_forever(poll_interval=0.02)


main()
