"""``python -m lmmsparse``."""

import sys

from lmmsparse.cli import main

sys.exit(main())
