"""Run a command and succeed only if it ends with the exit code that is expected.

python examples/expect_exit.py 1 ci-run-job ...
"""

import subprocess
import sys

if __name__ == "__main__":
    expected, argv = int(sys.argv[1]), sys.argv[2:]
    code = subprocess.run(argv, check=False).returncode
    print(f"exit code {code}, expected {expected}")
    sys.exit(0 if code == expected else 1)
