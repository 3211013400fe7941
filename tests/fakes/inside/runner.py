"""Stands in for stestr.subunit_runner.run with Tempest's tests: what it lists and runs is in tempest.json.

The file in the folder that BUILD_FAKE_OPENSTACK names holds {test id: what it does}:

    pass, fail, skip, xfail, uxsuccess
    wait       passes as soon as there is a file "go" in that folder; touches "waiting" before
    crash      the worker is killed with SIGKILL
    exit N     the worker ends with this code
    leave      passes, and leaves a process in a session of its own behind
    kill       ends the Neutron of this shard, and fails
    driver     what the driver that Neutron has loaded does to this test; passes where it says nothing
    X then Y   X when it runs for the first time, on any gate, Y the second time; the last one stays

The id "import errors" makes discovery fail with what it says. "list" in that folder: listing waits until it is gone.
"""

import json
import os
import signal
import subprocess
import sys
import time
import urllib.request
from datetime import UTC, datetime
from pathlib import Path

from subunit import StreamResultToBytes

CONTROL = Path(os.environ["BUILD_FAKE_OPENSTACK"])
RESULTS = {"pass": "success", "fail": "fail", "skip": "skip", "xfail": "xfail", "uxsuccess": "uxsuccess"}


def wait_until(look):
    while not look():
        time.sleep(0.01)


def neutron(path):
    """Ask the Neutron of our shard: the folder of Tempest tells which one that is."""
    access = next(folder / "access.json" for folder in Path.cwd().parents if (folder / "access.json").exists())
    shards = json.loads(access.read_text())["shards"]
    url = next(shard["neutron_url"] for shard in shards if Path(shard["tempest_dir"]) == Path.cwd())
    with urllib.request.urlopen(f"{url}{path}", timeout=20) as answer:
        return json.load(answer)


def this_time(test_id, what):
    words = what.split(" then ")
    if len(words) == 1:
        return what
    record = CONTROL / f"{test_id}.times"
    times = int(record.read_text()) if record.exists() else 0
    record.write_text(str(times + 1))
    return words[min(times, len(words) - 1)]


def list_tests(tests, output):
    wait_until(lambda: not (CONTROL / "list").exists())
    for test_id in tests:
        output.status(test_id=test_id, test_status="exists")


def run(test_id, what, output):
    output.status(test_id=test_id, test_status="inprogress", timestamp=datetime.now(UTC))
    what = this_time(test_id, what)
    if what == "driver":
        what = neutron("/fake/behaviour").get(test_id, "pass")
    if what == "kill":
        try:
            neutron("/fake/crash")
        except OSError:
            what = "fail"
    if what == "wait":
        (CONTROL / "waiting").touch()
        wait_until((CONTROL / "go").exists)
    elif what == "crash":
        os.kill(os.getpid(), signal.SIGKILL)
    elif what.startswith("exit "):
        print("the runner gives up", file=sys.stderr)
        sys.exit(int(what.split()[1]))
    elif what == "leave":
        subprocess.Popen(["sleep", "600"], start_new_session=True)
    elif what == "fail":
        text = f"Traceback (most recent call last):\nAssertionError: {test_id}\n".encode()
        output.status(
            test_id=test_id, file_name="traceback", file_bytes=text, mime_type="text/plain;charset=utf8", eof=True
        )
    elif what == "skip":
        output.status(test_id=test_id, file_name="reason", file_bytes=b"not here", eof=True, mime_type="text/plain")
    output.status(test_id=test_id, test_status=RESULTS.get(what, "success"), timestamp=datetime.now(UTC))


def main():
    tests = json.loads((CONTROL / "tempest.json").read_text())
    output = StreamResultToBytes(sys.stdout.buffer)
    broken = tests.pop("import errors", None)
    if broken:
        output.status(file_name="import errors", file_bytes=broken.encode(), eof=True, mime_type="text/plain")
        sys.exit(2)
    if "--list" in sys.argv:
        list_tests(tests, output)
        return
    with open(sys.argv[sys.argv.index("--load-list") + 1]) as fifo:
        wanted = fifo.read().split()
    for test_id in wanted:
        run(test_id, tests[test_id], output)


main()
