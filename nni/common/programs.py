"""Programs of other people that answer in a moment, or should."""

from __future__ import annotations

import asyncio
from typing import NamedTuple


class Answer(NamedTuple):
    """What a program said."""

    code: int
    output: str
    errors: str


async def ask(*command: str, patience: float) -> Answer:
    """
    Run a program without input, and return what it said.

    Parameters
    ----------
    command
        The program and its arguments.
    patience
        Seconds after which it is ended.

    Raises
    ------
    FileNotFoundError
        There is no such program.
    asyncio.TimeoutError
        It did not end in time.
    """
    process = await asyncio.create_subprocess_exec(
        *command, stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    try:
        output, errors = await asyncio.wait_for(process.communicate(), patience)
    except asyncio.TimeoutError:
        process.kill()
        await process.wait()
        raise
    return Answer(process.returncode or 0, output.decode(errors="replace"), errors.decode(errors="replace"))
