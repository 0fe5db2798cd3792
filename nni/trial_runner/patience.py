"""Work that may never come back, such as a look at the files of a server that is away."""

from __future__ import annotations

import asyncio
import threading

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, TypeVar

    Result = TypeVar("Result")


async def in_time(seconds: float, what: str, work: Callable[..., Result], *arguments: Any) -> Result:
    """
    Do work in a thread that nobody waits for in the end.

    A thread of the event loop's own pool would keep the process from ending for as long as the server is away.

    Parameters
    ----------
    seconds
        After which it is given up.
    what
        Names it in the error.
    work, arguments
        What to call.

    Raises
    ------
    TimeoutError
        It did not come back in time; it is an ``OSError``.
    """
    loop = asyncio.get_running_loop()
    answer: asyncio.Future[Result] = loop.create_future()

    def settle(result: Any, error: BaseException | None) -> None:
        if answer.done():
            return
        if error is None:
            answer.set_result(result)
        else:
            answer.set_exception(error)

    def run() -> None:
        result, problem = None, None
        try:
            result = work(*arguments)
        except Exception as error:  # noqa: BLE001  (whoever waits for it gets it)
            problem = error
        try:
            loop.call_soon_threadsafe(settle, result, problem)
        except RuntimeError:  # the loop has ended: nobody waits
            return

    threading.Thread(target=run, daemon=True).start()
    done, _ = await asyncio.wait({answer}, timeout=seconds)
    if not done:
        raise TimeoutError(f"{what} does not answer within {seconds:.0f} s")
    return answer.result()
