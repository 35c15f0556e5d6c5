"""`python -m gateway.demo`."""

import sys

from gateway.demo.story import main

sys.exit(main(sys.argv[1:]))
