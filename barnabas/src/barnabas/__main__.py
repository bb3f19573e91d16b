"""Let `python -m barnabas` be the command `barnabas`."""

import sys

from barnabas.cli import main

sys.exit(main())
