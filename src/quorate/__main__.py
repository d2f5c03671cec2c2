"""`python -m quorate` is the same as `quorate`: it imports nothing from the working folder."""

import os
import sys

# `-m` puts the working folder first. Only modules that are loaded already may be used here.
if sys.path[0] == os.getcwd() and not __file__.startswith(sys.path[0] + os.sep):  # noqa: PTH109
    del sys.path[0]

from quorate.cli.main import main

sys.exit(main())
