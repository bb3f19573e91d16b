"""`python -m barnabas_quant.clickhouse`: see server."""

import sys

from barnabas_quant.clickhouse.server import main

if __name__ == "__main__":
    sys.exit(main())
