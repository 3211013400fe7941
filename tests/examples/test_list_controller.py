"""The inventory of the example controller, run as a CI runs it."""

import subprocess
import sys
from pathlib import Path

from fake_cloud import Cloud, send

PROGRAM = Path(__file__).resolve().parents[2] / "examples" / "controller" / "list_controller.py"


def listed(url, *options):
    environment = {"PYTHONDONTWRITEBYTECODE": "1", "http_proxy": "http://127.0.0.1:9", "LC_ALL": "C"}
    command = [sys.executable, str(PROGRAM), "--controller", url, *options]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60)
    assert "Traceback" not in done.stderr
    return done.returncode, done.stdout, done.stderr


def test_an_empty_controller_holds_nothing(controller):
    assert listed(controller.url) == (0, "", "")


def test_every_document_is_a_line(controller):
    cloud = Cloud(controller.url)
    try:
        for name in ("one", "two\nlines", "", "half \ud800"):
            network = cloud.add("networks", {"name": name})
        subnet = cloud.add(
            "subnets", {"name": "s", "network_id": network["id"], "ip_version": 4, "cidr": "192.0.2.0/24"}
        )
        cloud.add("ports", {"network_id": network["id"], "fixed_ips": [{"subnet_id": subnet["id"]}]})
        code, output, _ = listed(controller.url)
        assert code == 0
        assert output.splitlines() == [
            "networks n1 one",
            "networks n2 two lines",
            "networks n3",
            "networks n4 half \\ud800",
            "subnets s5 s",
            "ports p6",
        ]
        send("DELETE", f"{controller.url}/ports/p6")
        assert "ports" not in listed(controller.url)[1]
    finally:
        cloud.stop()


def test_a_controller_that_is_away_cannot_be_asked():
    code, output, errors = listed("http://127.0.0.1:1", "--timeout", "5")
    assert (code, output) == (3, "")
    assert errors.startswith("cannot list: GET http://127.0.0.1:1/networks: ")


def test_wrong_usage():
    done = subprocess.run([sys.executable, str(PROGRAM)], capture_output=True, text=True, timeout=60)
    assert done.returncode == 2
