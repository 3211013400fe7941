# Licensed under the Apache License, Version 2.0; see the file LICENSE of this repository.
"""The open changes of networking-example.git, and what each of them must lead to.

| ref                  | the change                                   | the run                              |
| -------------------- | -------------------------------------------- | ------------------------------------ |
| refs/changes/01/1/1  | harmless: logs what is delivered             | passes                               |
| refs/changes/01/1/2  | the same, second patch set                   | passes                               |
| refs/changes/04/4/1  | sends one address of a port only             | Tempest passes, the check fails      |
| refs/changes/05/5/1  | was written on an older commit               | merge conflict: not tested           |
| refs/changes/06/6/1  | documentation only                           | irrelevant files: not tested         |
| refs/changes/07/7/1  | cannot be imported                           | Neutron does not start               |
| refs/changes/08/8/1  | requires a package that does not exist       | the driver does not install          |
| refs/changes/09/9/1  | loses the entry point                        | Neutron does not find the driver     |
"""

from change_texts import Change, Edit

_DRIVER = "networking_example/mechanism_driver.py"
_DOCUMENTS = "networking_example/documents.py"
_OPTIONS = "networking_example/options.py"

# Takes the tree back to what it was before the newest commit of master.
BEFORE_THE_NEWEST_COMMIT = (Edit(_OPTIONS, "default=10.0,", "default=5.0,"),)

NEWEST_COMMIT = """\
Wait 10 seconds for the controller

Five were too few while a controller fails over to its second node.
"""

ON_THE_FIRST_COMMIT = (
    Change(
        5,
        1,
        "first",
        "Wait 30 seconds for the controller\n\nSome controllers are far away.\n",
        (Edit(_OPTIONS, "default=5.0,", "default=30.0,"),),
    ),
)

_LOG_DELIVERIES = (
    Edit(
        "networking_example/controller_client.py",
        "import requests\nfrom neutron_lib import exceptions\n",
        "import requests\nfrom neutron_lib import exceptions\nfrom oslo_log import log\n",
    ),
    Edit(
        "networking_example/controller_client.py",
        "# Threads of one API process",
        "LOG = log.getLogger(__name__)\n\n# Threads of one API process",
    ),
    Edit(
        "networking_example/controller_client.py",
        '        url = f"{self._url}/{kind}/{resource_id}"\n',
        '        url = f"{self._url}/{kind}/{resource_id}"\n        LOG.debug("%s %s", method, url)\n',
    ),
)
_NEXT_VERSION = Edit("setup.cfg", "version = 1.0.0\n", "version = 1.0.1\n")

ON_MASTER = (
    Change(
        1,
        1,
        "master",
        "Log each request to the controller\n\nAt level DEBUG: the first thing one asks for when both disagree.\n",
        _LOG_DELIVERIES,
    ),
    Change(
        1,
        2,
        "master",
        "Log each request to the controller\n\nAt level DEBUG: the first thing one asks for when both disagree.\n"
        "The version is raised for the next release.\n",
        (*_LOG_DELIVERIES, _NEXT_VERSION),
    ),
    Change(
        4,
        1,
        "master",
        "Send one address for each port\n\nThe controller forwards by the first address anyway.\n",
        (Edit(_DOCUMENTS, 'for address in port["fixed_ips"]\n', 'for address in port["fixed_ips"][:1]\n'),),
    ),
    Change(
        6,
        1,
        "master",
        "Say in README.md who may write to the project\n",
        (Edit("README.md", "# networking-example\n", "# networking-example\n\nChanges are welcome from everybody.\n"),),
    ),
    Change(
        7,
        1,
        "master",
        "Use the short name of the module of options\n",
        (
            Edit(
                _DRIVER,
                "import controller_client, documents, options\n",
                "import controller_client, documents, settings\n",
            ),
        ),
    ),
    Change(
        8,
        1,
        "master",
        "Require the library of the controller's vendor\n",
        (
            Edit(
                "setup.cfg",
                "    requests>=2.31\n",
                "    requests>=2.31\n    networking-example-there-is-no-such-library>=1.0\n",
            ),
        ),
    ),
    Change(
        9,
        1,
        "master",
        "Rename the driver\n",
        (Edit("setup.cfg", "    example = networking_example.mech", "    example_mirror = networking_example.mech"),),
    ),
)
