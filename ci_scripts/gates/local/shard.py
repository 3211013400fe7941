"""One independent pair of Keystone and Neutron on its way up."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from ci_scripts.errors import InfrastructureError
from ci_scripts.gates import access
from ci_scripts.gates.context import GateContext
from ci_scripts.gates.local import databases, keystone, neutron, supervision, vendor_services
from ci_scripts.gates.local.api import Session
from ci_scripts.gates.local.layout import ShardLayout, driver_config_dir, openstack_environment
from ci_scripts.gates.local.services import Service
from ci_scripts.gates.local.supervisor import answers
from ci_scripts.gates.local.tempest_conf import write_tempest_conf


class Shard:
    """One pair on its way up."""

    def __init__(self, context: GateContext, layout: ShardLayout, keystone_port: int, neutron_port: int) -> None:
        self.context = context
        self.layout = layout
        self.environment = openstack_environment(context.workspace)
        self.keystone_port, self.neutron_port = keystone_port, neutron_port
        self.keystone_url, self.neutron_url = keystone.url_of(keystone_port), neutron.url_of(neutron_port)
        self.service_urls = vendor_services.urls_of_shard(context.workspace, layout.index)
        self.session = Session(self.keystone_url, self.neutron_url)
        self.files: list[Path] = []

    def prepare(self) -> None:
        """Folders and configuration, and with SQLite the databases."""
        # The log of an earlier start would be read as this one's.
        shutil.rmtree(self.layout.logs, ignore_errors=True)
        self.layout.make_folders()
        urls = self.database_urls()
        if databases.is_sqlite(self.context.settings.gate.database):
            databases.copy_template(self.context.workspace, self.layout, self.keystone_url)
            keystone.write_config(self.layout.keystone, self.layout.logs, urls[0])
        self._write_neutron_config(urls[1])

    def database_urls(self) -> tuple[str, str]:
        """Keystone's and Neutron's."""
        database = self.context.settings.gate.database
        if databases.is_sqlite(database):
            return databases.sqlite_urls(self.layout)
        return databases.server_urls(database, self.context.run["run_id"], self.layout.index)

    def migrations(self) -> list[Callable[[databases.Watch], None]]:
        """What fills the empty schemas of a server, to be done side by side."""
        environment, env, database = self.environment, self.context.env, self.database_urls()[0]
        folder, logs, url = self.layout.keystone, self.layout.logs, self.keystone_url
        return [
            lambda watch: neutron.migrate_database(environment, self.files, logs / "neutron-db-manage.log", env, watch),
            lambda watch: keystone.make_database(environment, folder, logs, database, env, watch, url),
        ]

    def _write_neutron_config(self, database: str) -> None:
        plugins = self.context.settings.gate.service_plugins
        text = ",".join(plugins) if plugins is not None else neutron.SERVICE_PLUGINS
        ours = neutron.write_config(self.layout, self.environment, database, self.keystone_url, text)
        folder = driver_config_dir(self.context.workspace)
        self.files = ours + neutron.add_driver_config(self.layout, folder, self._placeholders())

    def _placeholders(self) -> dict[str, str]:
        return {
            **self.context.placeholders(),
            "shard": str(self.layout.index),
            "keystone.url": self.keystone_url,
            "neutron.url": self.neutron_url,
            **{f"service.{name}.url": url for name, url in self.service_urls.items()},
        }

    def services(self, user: tuple[int, int] | None) -> list[Service]:
        """Neutron first: it takes longer."""
        env = self.context.env
        both = [
            neutron.service(self.layout, self.environment, self.neutron_port, self.files, env),
            keystone.service(self.layout, self.environment, self.keystone_port, env),
        ]
        return [replace(service, user=user) for service in both]

    def open_identity(self, deadline: float) -> None:
        """Wait for Keystone, log in, enter Neutron into the catalog."""
        self._wait(self.keystone_url, "keystone", deadline)
        self.session.log_in()
        self.session.add_network_endpoint()

    def open_network(self, deadline: float) -> access.ShardAccess:
        """Wait for Neutron, use the token, check the drivers, make the external network, write tempest.conf."""
        self._wait(self.neutron_url, "neutron", deadline)
        extensions = self.session.extensions()
        log = self.layout.logs / "neutron.log"
        neutron.require_loaded(log, neutron.mechanism_drivers(self.files))
        public = self.session.seed_external_network()
        over = self.context.settings.tempest.config
        write_tempest_conf(self.layout, self.keystone_url, public, extensions, over)
        return access.ShardAccess(
            index=self.layout.index,
            keystone_url=self.keystone_url,
            neutron_url=self.neutron_url,
            service_urls=self.service_urls,
            region=keystone.REGION,
            tempest_dir=str(self.layout.tempest),
            **keystone.ADMIN,
        )

    def _wait(self, url: str, name: str, deadline: float) -> None:
        _wait_for(lambda: answers(url), self._problem, deadline, f"{name} of shard {self.layout.index}")

    def _problem(self) -> str | None:
        """What broke first, which need not be what is waited for, with Neutron's own reason."""
        workspace = self.context.workspace
        bad = supervision.first_bad(workspace)
        if bad is None:
            return supervision.first_problem(workspace)
        where = "" if bad.shard is None else f" of shard {bad.shard}"
        reason = ""
        if bad.name == "neutron" and bad.shard is not None:
            reason = neutron.first_error(ShardLayout(workspace, bad.shard).logs / "neutron.log")
        return " ".join([f"{bad.name}{where} did not start:", *([reason] if reason else []), supervision.describe(bad)])


def _wait_for(ready: Callable[[], bool], problem: Callable[[], str | None], deadline: float, what: str) -> None:
    while not ready():
        found = problem()
        if found:
            raise InfrastructureError(f"{found.rstrip('.')}.", next_step="read that log; then ci-start-gate.")
        if time.monotonic() > deadline:
            raise InfrastructureError(
                f"{what} did not answer within gate.start_timeout_seconds.",
                next_step="look into logs/gate/; a slow machine wants a longer time.",
            )
        time.sleep(0.05)
