# Licensed under the Apache License, Version 2.0; see the file LICENSE of this repository.
"""The open changes of neutron.git, and what each of them must lead to while the driver is held fixed.

| ref                  | the change                                   | the run                              |
| -------------------- | -------------------------------------------- | ------------------------------------ |
| refs/changes/02/2/1  | harmless: a docstring                        | passes                               |
| refs/changes/03/3/1  | drivers are not told a port's MAC address    | networks work, creating a port fails |

The second is the kind of change a third-party CI exists for. Without the driver the same Tempest tests pass on it:
Neutron creates the port and its API shows the MAC address. Only what a driver reads from the context is gone.
"""

from change_texts import Change, Edit

_CONTEXT = "neutron/plugins/ml2/driver_context.py"

ON_MASTER = (
    Change(
        2,
        1,
        "master",
        "ML2: say what a PortContext is\n",
        (
            Edit(
                _CONTEXT,
                "class PortContext(MechanismDriverContext, api.PortContext):\n\n",
                "class PortContext(MechanismDriverContext, api.PortContext):\n"
                '    """What a mechanism driver is told about a port."""\n\n',
            ),
        ),
    ),
    Change(
        3,
        1,
        "master",
        "ML2: keep MAC addresses away from mechanism drivers\n\n"
        "Mechanism drivers identify a port by its ID. The MAC address is personal\n"
        "data in some deployments and should not reach every backend.\n",
        (
            Edit(
                _CONTEXT,
                "from neutron_lib.api.definitions import portbindings\n",
                "import copy\n\nfrom neutron_lib.api.definitions import portbindings\n",
            ),
            Edit(
                _CONTEXT,
                "    # The following methods are for use by the ML2 plugin and are not\n",
                "    def for_drivers(self):\n"
                "        shown = copy.copy(self)\n"
                "        shown._port = {key: value for key, value in self._port.items()\n"
                "                       if key != 'mac_address'}\n"
                "        return shown\n\n"
                "    # The following methods are for use by the ML2 plugin and are not\n",
            ),
            Edit(
                "neutron/plugins/ml2/managers.py",
                '        self._call_on_drivers("create_port_postcommit", context)\n',
                '        self._call_on_drivers("create_port_postcommit",\n'
                "                              context.for_drivers())\n",
            ),
        ),
    ),
)
