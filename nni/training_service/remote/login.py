"""How one logs in to a machine."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True)
class Login:
    """What the configuration says of one machine's SSH service; secrets are not shown by `repr`.

    Parameters
    ----------
    password
        Used alone where it is given (PLT-345).
    key_file
        A private key; without it and a password, SSH's own default keys and the agent are tried.
    accept_new_host_key
        Whether the key of a machine that was never seen is noted down instead of refused. One that has changed is
        always refused.
    """

    host: str
    port: int
    user: str
    password: str | None = field(default=None, repr=False)
    key_file: Path | None = None
    passphrase: str | None = field(default=None, repr=False)
    accept_new_host_key: bool = False

    @property
    def name(self) -> str:
        """The machine as people see it."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.user}@{host}" + ("" if self.port == 22 else f":{self.port}")
