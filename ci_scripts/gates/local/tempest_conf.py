"""tempest.conf of a shard."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ci_scripts.gates.local import keystone
from ci_scripts.gates.local.ini import Sections, merged, write_ini
from ci_scripts.gates.local.layout import ShardLayout


def write_tempest_conf(
    layout: ShardLayout, keystone_url: str, public_network: str, extensions: Sequence[str], over: Sections
) -> Path:
    """etc/tempest.conf in the shard's folder for Tempest; its log goes to those of the shard's services.

    ``over`` is what ci.yaml's tempest.config says and wins. The list of extensions is the one that the API gave:
    Tempest skips by it, and a wrong list hides tests.
    """
    admin = keystone.ADMIN
    base: Sections = {
        "DEFAULT": {"log_dir": layout.logs, "log_file": "tempest.log", "use_stderr": False},
        "oslo_concurrency": {"lock_path": layout.tempest / "lock"},
        "auth": {
            "admin_username": admin["username"],
            "admin_password": admin["password"],
            "admin_project_name": admin["project_name"],
            "admin_domain_name": admin["domain_name"],
            "use_dynamic_credentials": True,
        },
        "identity": {"uri_v3": keystone_url, "auth_version": "v3", "region": keystone.REGION},
        "network": {"public_network_id": public_network, "project_network_cidr": "10.100.0.0/16"},
        "network-feature-enabled": {
            "ipv6": True,
            "ipv6_subnet_attributes": True,
            "api_extensions": list(extensions),
        },
        "service_available": {
            "neutron": True,
            "nova": False,
            "glance": False,
            "cinder": False,
            "swift": False,
            "horizon": False,
        },
    }
    path = layout.tempest / "etc" / "tempest.conf"
    write_ini(path, merged(base, over), mode=0o640)
    return path
