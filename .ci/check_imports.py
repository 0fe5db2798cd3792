"""Run import-linter on the contracts of ``.importlinter``; rooms that are not built yet are left out, and named.

Run it in the root of a checkout. Exits with 1 when an import is forbidden, 2 when a contract names a room that stands
in no floor.
"""

from __future__ import annotations

import re
import sys
import tempfile
from configparser import ConfigParser
from pathlib import Path

from importlinter.cli import lint_imports

MODULE_LISTS = ("source_modules", "forbidden_modules", "modules")
LEAST = {"source_modules": 1, "forbidden_modules": 1, "modules": 2}


def exists(module: str) -> bool:
    """Whether a module is part of another distribution, or of this checkout."""
    if module.split(".", maxsplit=1)[0] != "nni":
        return True
    path = Path(*module.split("."))
    return path.with_suffix(".py").is_file() or (path / "__init__.py").is_file()


def planned_rooms(contracts: ConfigParser) -> set[str]:
    """Return the names that stand in the floors."""
    return set(re.findall(r"\w+", contracts["importlinter:contract:floors"]["layers"]))


def leave_out_missing(contracts: ConfigParser) -> set[str]:
    """Take modules that do not exist out of the contracts, and contracts that become empty; return the modules."""
    missing: set[str] = set()
    for section in contracts.sections():
        for option in MODULE_LISTS:
            if option not in contracts[section]:
                continue
            names = contracts[section][option].split()
            missing.update(name for name in names if not exists(name))
            there = [name for name in names if exists(name)]
            contracts[section][option] = "\n".join(["", *there])
            if len(there) < LEAST[option]:
                contracts.remove_section(section)
                break
    return missing


def main() -> int:
    contracts = ConfigParser()
    contracts.read(".importlinter")
    rooms = planned_rooms(contracts)
    missing = leave_out_missing(contracts)
    unknown = sorted(name for name in missing if name.split(".")[1] not in rooms)
    if unknown:
        print(f".importlinter names {', '.join(unknown)}, which stand in no floor: misspelt?", file=sys.stderr)
        return 2
    if missing:
        print("Not built yet, so not checked:", ", ".join(sorted(missing)))
    sys.path.insert(0, str(Path.cwd()))
    with tempfile.TemporaryDirectory() as folder:
        effective = Path(folder, "importlinter.ini")
        with effective.open("w") as file:
            contracts.write(file)
        return int(lint_imports(config_filename=str(effective), no_logo=True, no_cache=True))


if __name__ == "__main__":
    sys.exit(main())
