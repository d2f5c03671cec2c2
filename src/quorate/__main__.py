"""`python -m quorate` is the same as `quorate`."""

import sys

from quorate.cli.main import main

sys.exit(main())
