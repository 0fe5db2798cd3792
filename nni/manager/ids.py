"""Trial ids: five mixed alphanumerics (PLT-149), unique by construction, also where file names ignore case."""

from __future__ import annotations

import hashlib

_ALPHABET = "abcdefghijklmnopqrstuvwxyz0123456789"
_SIZE = 5
_SPACE = len(_ALPHABET) ** _SIZE


def trial_id(experiment_id: str, sequence: int) -> str:
    """Return the id of a trial: a scrambling of its number, so that no two trials of an experiment share one.

    Five characters of 36 kinds hold 60 million trials; from there on ids grow longer. The case of the letters carries
    nothing.
    """
    key = int.from_bytes(hashlib.sha256(experiment_id.encode()).digest()[:8], "big")
    block, within = divmod(sequence, _SPACE)
    multiplier = 36 * (key % 1_000_003) * 2 + 5  # coprime with 36**5: not divisible by 2 or 3
    while multiplier % 2 == 0 or multiplier % 3 == 0:
        multiplier += 1
    scrambled = (within * multiplier * 7919 + key) % _SPACE
    letters = []
    for _ in range(_SIZE):
        scrambled, place = divmod(scrambled, len(_ALPHABET))
        letters.append(_ALPHABET[place])
    case = hashlib.sha256(f"{experiment_id}/{sequence}".encode()).digest()
    mixed = "".join(letter.upper() if byte & 1 else letter for letter, byte in zip(letters, case, strict=False))
    return mixed if block == 0 else f"{mixed}{block}"
