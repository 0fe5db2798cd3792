"""Storage that this machine and the training machines share (PLT-318 … 323): the manager's side of it.

What runs on the training machines is `nni.trial_runner.storage`; mounting is `nni.trial_runner.mounts` for both.
"""

from __future__ import annotations

from nni.training_service.shared_storage.storage import SharedStorage

__all__ = ["SharedStorage"]
