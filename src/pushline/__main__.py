"""`python -m pushline` is `pushline`."""

import sys

from pushline.cli import main

sys.exit(main())
