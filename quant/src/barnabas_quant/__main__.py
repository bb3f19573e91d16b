"""`python -m barnabas_quant` is `barnabas-quant`."""

import sys

from barnabas_quant.cli import main

sys.exit(main())
