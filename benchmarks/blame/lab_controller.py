"""The example controller with a fault: the service command of the cases, or a controller outside of the gate.

python lab_controller.py --port 8181 --lab FOLDER --fault "refuses times=1"

The folder is the lab: what counts for all controllers of a case, one after the other, is kept there. When a fault
really happens it leaves the file ``happened``. Only documents (PUT and DELETE) and /health are touched, never the
comparison that the check makes, unless the controller is down.
"""

from __future__ import annotations

import argparse
import fcntl
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "examples" / "controller"))

import controller

Fault = Callable[["Handler", dict[str, float]], bool]


class Lab:
    """Counters and a clock that outlive a controller."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        folder.mkdir(parents=True, exist_ok=True)

    def count(self, name: str) -> int:
        """One more of ``name``; how many that makes."""
        with open(self._folder / name, "a+") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            file.write(".")
            file.flush()
            return file.tell()

    def age(self) -> float:
        """Seconds since the first document ever reached the lab."""
        first = self._folder / "first"
        try:
            first.touch(exist_ok=False)
        except FileExistsError:
            return time.time() - first.stat().st_mtime
        return 0.0

    def happened(self) -> None:
        (self._folder / "happened").touch()


class Handler(controller.Handler):
    """As the example's, after the fault has had its say."""

    def _answer(self, act):
        if not self.server.fault(self, self.server.numbers):
            super()._answer(act)

    @property
    def is_document(self) -> bool:
        return self.command in ("PUT", "DELETE")

    def refuse(self, status: int) -> None:
        """Answer with an error that the journal of refusals does not show."""
        self.server.lab.happened()
        self._body()
        self.send_response(status)
        self.send_header("Content-Length", "0")
        self.end_headers()
        self.wfile.flush()

    def hang_up(self) -> None:
        """Close the connection without an answer."""
        self.server.lab.happened()
        self.close_connection = True

    def die(self) -> None:
        self.server.lab.happened()
        print("out of memory", flush=True)
        os._exit(1)


def _healthy(handler: Handler, numbers: dict[str, float]) -> bool:
    return False


def _dies(handler: Handler, numbers: dict[str, float]) -> bool:
    """At the Nth document, of each controller or (once=1) of the lab."""
    if handler.is_document:
        seen = handler.server.lab.count("documents") if numbers.get("once") else handler.server.count_own()
        if seen == numbers["after"]:
            handler.die()
    return False


def _goes_away(handler: Handler, numbers: dict[str, float]) -> bool:
    """Nobody answers anything any more after the Nth document."""
    if handler.is_document:
        handler.server.count_own()
    if handler.server.own < numbers["after"]:
        return False
    handler.hang_up()
    return True


def _flaps(handler: Handler, numbers: dict[str, float]) -> bool:
    """Answers for ``up`` seconds, is gone for ``down`` seconds, and so on."""
    age = handler.server.lab.age()
    if age % (numbers["up"] + numbers["down"]) < numbers["up"]:
        return False
    handler.hang_up()
    return True


def _slow(handler: Handler, numbers: dict[str, float]) -> bool:
    """Documents take ``seconds``, for the first ``until`` seconds of the lab (default: always)."""
    if handler.is_document and handler.server.lab.age() < numbers.get("until", float("inf")):
        handler.server.lab.happened()
        time.sleep(numbers["seconds"])
    return False


def _refuses(handler: Handler, numbers: dict[str, float]) -> bool:
    """Refuses ports: the first ``times``, those of the first ``until`` seconds; or (``every``) each Nth document."""
    if not handler.is_document:
        return False
    age = handler.server.lab.age()
    if "every" in numbers:
        wanted = handler.server.lab.count("documents") % numbers["every"] == 0
    elif handler.command != "PUT" or not handler.path.startswith("/ports"):
        wanted = False
    elif "times" in numbers:
        wanted = handler.server.lab.count("ports") <= numbers["times"]
    else:
        wanted = age < numbers.get("until", float("inf"))
    if wanted:
        handler.refuse(503)
    return wanted


def _loses(handler: Handler, numbers: dict[str, float]) -> bool:
    """Says yes to each port and forgets it."""
    if handler.command != "PUT" or not handler.path.startswith("/ports"):
        return False
    handler.refuse(201)
    return True


def _chokes(handler: Handler, numbers: dict[str, float]) -> bool:
    """Dies of a document of more than ``bytes``, as real ones have."""
    if int(handler.headers.get("Content-Length", "0")) > numbers["bytes"]:
        handler.die()
    return False


FAULTS: dict[str, Fault] = {
    "healthy": _healthy,
    "late": _healthy,
    "dies": _dies,
    "goes-away": _goes_away,
    "flaps": _flaps,
    "slow": _slow,
    "refuses": _refuses,
    "loses": _loses,
    "chokes": _chokes,
}


class Server(controller.Controller):
    """The example's server with a lab and a fault."""

    def __init__(self, port: int, lab: Lab, fault: Fault, numbers: dict[str, float]) -> None:
        self.lab, self.fault, self.numbers, self.own = lab, fault, numbers, 0
        super().__init__("127.0.0.1", port, controller.Store())
        self.RequestHandlerClass = Handler

    def count_own(self) -> int:
        self.own += 1
        return self.own


def main() -> int:
    parser = argparse.ArgumentParser(description="The example controller with a fault.")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--lab", type=Path, required=True, metavar="FOLDER")
    parser.add_argument("--fault", default="healthy", help="name and numbers, as 'flaps up=6 down=4'")
    parser.add_argument("--shard", default="all")
    arguments = parser.parse_args()
    name, *words = arguments.fault.split()
    numbers = {key: float(value) for key, _, value in (word.partition("=") for word in words)}
    lab = Lab(arguments.lab)
    if "shard" in numbers and arguments.shard != str(int(numbers["shard"])):
        name = "healthy"
    if name == "late":
        lab.happened()
        time.sleep(numbers["seconds"])
    with Server(arguments.port, lab, FAULTS[name], numbers) as server:
        print(f"listening on port {arguments.port}", flush=True)
        # SIGTERM ends it as any Python program: at once.
        server.serve_forever(poll_interval=0.1)
    return 0


if __name__ == "__main__":
    sys.exit(main())
