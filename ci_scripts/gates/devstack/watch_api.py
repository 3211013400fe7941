"""Asks one of DevStack's APIs every few seconds and ends when it has not answered for too long.

    python -m ci_scripts.gates.devstack.watch_api NAME URL SECONDS [CA FILE]

It runs below the gate's supervisor, whose status file then says when and why the service was gone.
"""

from __future__ import annotations

import sys
import time

import requests

from ci_scripts.workspace import utc_text

LOOK_SECONDS = 5.0
ANSWER_SECONDS = 10.0
# Apache stands before the services and says these when there is nobody behind it.
NOBODY = (502, 503, 504)


def watch(name: str, url: str, seconds: float, verify: str | bool) -> int:
    """Return 1 when there was no answer for so many seconds; what was last heard is printed."""
    last_good = time.monotonic()
    red = False
    while True:
        said = ask(url, verify)
        if said is None:
            if red:
                print(f"{utc_text()} {name} answers again at {url}", flush=True)
            red, last_good = False, time.monotonic()
        elif not red:
            red = True
            print(f"{utc_text()} {name} does not answer: {said}", flush=True)
        if time.monotonic() - last_good >= seconds:
            print(f"{utc_text()} {name} has not answered for {seconds:g} s: {said}", flush=True)
            return 1
        time.sleep(min(LOOK_SECONDS, seconds / 4))


def ask(url: str, verify: str | bool) -> str | None:
    """None when somebody answers there, whatever the status; else what is wrong."""
    try:
        with requests.Session() as http:
            http.trust_env = False
            answer = http.get(url, timeout=ANSWER_SECONDS, verify=verify, stream=True)
            answer.close()
    except (requests.RequestException, OSError) as error:
        return f"{type(error).__name__}: {error}"
    return f"GET {url} is answered with {answer.status_code}" if answer.status_code in NOBODY else None


if __name__ == "__main__":
    sys.exit(watch(sys.argv[1], sys.argv[2], float(sys.argv[3]), sys.argv[4] if len(sys.argv) > 4 else True))
