"""Files outside the package that commands need: where they are found.

One rule: beside the package in a source tree (an editable install), else in share/openstack-driver-ci of the
installation, where a wheel puts them.
"""

from __future__ import annotations

import sysconfig
from pathlib import Path

from ci_scripts.errors import ConfigurationError

_SHARE = Path("share") / "openstack-driver-ci"


def installed_file(relative: str) -> Path:
    """The absolute path of a file such as ``devstack-hooks/gate_hook.sh``.

    Raises ConfigurationError naming both places where it is in neither.
    """
    source_tree = Path(__file__).resolve().parent.parent / relative
    installed = Path(sysconfig.get_path("data")) / _SHARE / relative
    for candidate in (source_tree, installed):
        if candidate.exists():
            return candidate
    raise ConfigurationError(
        f"{relative} is neither at {source_tree} nor at {installed}.", next_step="install openstack-driver-ci anew."
    )
