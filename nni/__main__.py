"""Entry of the dispatcher process (PLT-007); started by the manager, not by people."""

from __future__ import annotations

import sys

from nni.dispatcher import main

if __name__ == "__main__":
    sys.exit(main())
