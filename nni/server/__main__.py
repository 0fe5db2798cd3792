"""``python -m nni.server``: run the manager of one experiment."""

import sys

from nni.server.process import main

sys.exit(main())
