"""DEST CLOUDS_YAML PASSWORD: Keystone and Neutron in one small server that stays, and the files that name them.

Asked for a path that ends in /crash it ends, as services do that die.
"""

import configparser
import json
import os
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

DEST, CLOUDS, PASSWORD = Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3]


class Handler(BaseHTTPRequestHandler):
    def reply(self, content, status=200, token=None):
        data = json.dumps(content).encode()
        self.send_response(status)
        if token:
            self.send_header("X-Subject-Token", token)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        user = body["auth"]["identity"]["password"]["user"]
        if (user["name"], user["password"]) != ("admin", PASSWORD):
            self.reply({"error": "The request you have made requires authentication."}, 401)
            return
        endpoint = {"interface": "public", "region": "RegionOne", "url": f"{URL}/networking"}
        catalog = [{"type": "network", "endpoints": [endpoint]}]
        domain = {"id": "default", "name": "Default"}
        self.reply({"token": {"user": {"name": "admin", "domain": domain}, "catalog": catalog}}, 201, "a-token")

    def do_GET(self):
        if self.path.endswith("/crash"):
            os._exit(1)
        path = self.path.partition("?")[0]
        if path.endswith("/behaviour"):
            # What the driver does to the tests of a fake Tempest.
            found = sorted(DEST.glob("*/behaviour.json"))
            self.reply(json.loads(found[0].read_text()) if found else {})
        elif path.endswith("/extensions"):
            self.reply({"extensions": [{"alias": "router"}, {"alias": "external-net"}]})
        elif "/v2.0/" in path:
            self.reply({path.rpartition("/")[2]: []})
        else:
            self.reply({"versions": []})

    def log_message(self, *words):
        pass


def settings(file):
    parser = configparser.RawConfigParser(default_section="\n")
    parser.read(file)
    return parser


def write_files():
    auth = {"auth_url": f"{URL}/identity", "username": "admin", "password": PASSWORD, "project_name": "admin"}
    auth |= {"user_domain_id": "default", "project_domain_id": "default"}
    if CLOUDS.name != "none":
        CLOUDS.parent.mkdir(parents=True, exist_ok=True)
        CLOUDS.write_text(json.dumps({"clouds": {"devstack-admin": {"auth": auth, "region_name": "RegionOne"}}}))
    (DEST / "status" / "keystone.url").write_text(f"{URL}/identity")
    names = settings(DEST / "etc/neutron/ml2_conf.ini").get("ml2", "mechanism_drivers").split(",")
    words = f"Loaded mechanism driver names: {[name.strip() for name in names]}"
    log = DEST / "logs" / "neutron-api.log"
    log.write_text(f"2026-01-31 12:00:00.000 1 INFO neutron.plugins.ml2.managers [-] {words}\n")
    tempest = DEST / "tempest" / "etc" / "tempest.conf"
    tempest.parent.mkdir(parents=True, exist_ok=True)
    lock = DEST / "data" / "tempest"
    tempest.write_text(
        f"[DEFAULT]\nlog_file = tempest.log\n[oslo_concurrency]\nlock_path = {lock}\n"
        f"[identity]\nuri_v3 = {URL}/identity/v3\n[auth]\nadmin_password = {PASSWORD}\n"
        "[service_available]\nnova = False\n"
    )


server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
URL = f"http://127.0.0.1:{server.server_port}"
write_files()
if os.fork():
    os._exit(0)
os.setsid()
with open(os.devnull, "r+b") as nothing:
    for number in (0, 1, 2):
        os.dup2(nothing.fileno(), number)
(DEST / "status" / "services.pid").write_text(str(os.getpid()))
server.serve_forever()
