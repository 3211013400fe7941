"""Logs as a run with debug = true leaves them, made up: Neutron, Keystone, uWSGI, the console."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from pathlib import Path

SECOND = 1_770_000_000
# One line in so many is of a known failure.
ONE_IN = 20_000
FIRST = "2026-11-23 00:00:00 28372 INFO neutron.plugins.ml2.managers [-] Loaded mechanism driver names: ['example']\n"
FAILURES = (
    "ERROR neutron.plugins.ml2.managers requests.exceptions.ConnectionError: HTTPConnectionPool("
    "host='controller.example.org', port=8080): Max retries exceeded with url: /ports (Caused by NewConnectionError("
    "'Failed to establish a new connection: [Errno 111] Connection refused'))",
    "ERROR oslo_db.sqlalchemy.exc_filters sqlalchemy.exc.OperationalError: (sqlite3.OperationalError) database is "
    "locked",
    "WARNING oslo_db.sqlalchemy.engines SQL connection failed. 9 attempts left.",
    "ERROR oslo_service.service OSError: [Errno 28] No space left on device: '/opt/stack/data/neutron.tmp'",
    "WARNING keystonemiddleware.auth_token Unable to validate token: Unable to establish connection to Keystone",
)
Make = Callable[[random.Random], str]


def _words(chance: random.Random) -> str:
    return f"req-{chance.getrandbits(64):016x} {chance.getrandbits(128):032x} {chance.getrandbits(128):032x}"


def _rpc(chance: random.Random) -> str:
    return (
        f"DEBUG neutron_lib.callbacks.manager [None {_words(chance)} - - default default] Publish callbacks "
        f"['neutron.plugins.ml2.plugin.SecurityGroupDbMixin._ensure_default_security_group_handler-{chance.random()}'] "
        f"for port ({chance.getrandbits(128):032x}), after_update {{{{(pid=28372) _notify_loop manager.py:176}}}}"
    )


def _lock(chance: random.Random) -> str:
    waited = chance.random() / 100
    return (
        f'DEBUG oslo_concurrency.lockutils [-] Lock "event-dispatch-{chance.getrandbits(32)}" "released" by "neutron.'
        f'plugins.ml2.plugin.Ml2Plugin._bind_port_if_needed" :: held {waited:.3f}s {{{{inner lockutils.py:423}}}}'
    )


def _answer(chance: random.Random) -> str:
    addresses = ", ".join(
        f"{{'subnet_id': '{chance.getrandbits(128):032x}', 'ip_address': '10.100.{chance.randrange(256)}.7'}}"
        for _ in range(chance.randrange(1, 12))
    )
    return (
        f"DEBUG neutron.api.v2.base [None {_words(chance)} - - default default] Request body: {{'port': {{"
        f"'network_id': '{chance.getrandbits(128):032x}', 'admin_state_up': True, 'fixed_ips': [{addresses}], "
        f"'device_owner': '', 'binding:vnic_type': 'normal', 'security_groups': [], 'name': ''}}}} prepare_request_body"
    )


def _access(chance: random.Random) -> str:
    size, milliseconds = chance.randrange(2000), chance.randrange(900)
    return (
        f"[pid: 28372|app: 0|req: {chance.randrange(9999)}/{chance.randrange(9999)}] 127.0.0.1 () {{32 vars in 640 "
        f"bytes}} POST /networking/v2.0/ports => generated {size} bytes in {milliseconds} msecs (HTTP/1.1 201)"
    )


def _trace(chance: random.Random) -> str:
    return (
        f'ERROR neutron.pecan_wsgi.hooks.translation   File "/opt/stack/neutron/neutron/db/db_base_plugin_v2.py", line '
        f"{chance.randrange(2000)}, in _validate_subnet_cidr raise exc.InvalidInput(error_message=err_msg)"
    )


def _console(chance: random.Random) -> str:
    return f"+ functions-common:install_package:{chance.randrange(2000)} : sudo apt-get install -y p{chance.random()}"


KINDS: dict[str, tuple[Make, ...]] = {
    "logs/gate/shard0/neutron.log": (_rpc, _rpc, _lock, _answer, _trace),
    "logs/gate/shard1/neutron.log": (_rpc, _lock, _lock, _answer),
    "logs/gate/shard0/keystone.log": (_lock, _rpc),
    "logs/gate/shard0/neutron.out": (_access,),
    "logs/devstack/stack.log": (_console, _console, _access),
}


def lines_of(makes: tuple[Make, ...], chance: random.Random, failures: int = ONE_IN) -> Iterator[str]:
    """Endless lines; one in ``failures`` is of a known failure, none where that is 0."""
    moment = SECOND * 1000
    while True:
        moment += chance.randrange(40)
        seconds, milliseconds = divmod(moment % 86_400_000, 1000)
        clock = f"{seconds // 3600:02d}:{seconds // 60 % 60:02d}:{seconds % 60:02d}.{milliseconds:03d}"
        failed = failures and chance.randrange(failures) == 0
        text = chance.choice(FAILURES) if failed else chance.choice(makes)(chance)
        yield f"2026-11-23 {clock} 28372 {text}\n"


def make_logs(workspace: Path, megabytes: int, failures: int = ONE_IN) -> list[Path]:
    """Write ``megabytes`` (10^6 bytes) of logs below ``workspace/logs``, the same ones every time; their paths."""
    paths = []
    for number, (name, makes) in enumerate(KINDS.items()):
        path = workspace / name
        path.parent.mkdir(parents=True, exist_ok=True)
        left = megabytes * 1_000_000 // len(KINDS)
        with open(path, "w", encoding="ascii") as file:
            file.write(FIRST)
            for line in lines_of(makes, random.Random(number), failures):
                left -= file.write(line)
                if left <= 0:
                    break
        paths.append(path)
    return paths
