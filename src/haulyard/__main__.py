"""``python -m haulyard`` is ``haul``."""

import sys

from haulyard.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
