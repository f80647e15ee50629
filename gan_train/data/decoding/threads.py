"""Works on the examples of a listing in threads, and returns the results in order."""

from __future__ import annotations

import itertools
import os
import threading
import warnings
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Final, TypeVar

from PIL import Image

from gan_infer.errors import DataError
from gan_train.data.listing import Listing

Result = TypeVar("Result")

_MOST_THREADS: Final = 16
_TASK: Final = 16  # examples per task of a thread: handing over one costs more time than a small picture


def run_in_order(
    work: Callable[[int], Result], listing: Listing, numbers: Iterable[int]
) -> Iterator[tuple[int, Result | str]]:
    """Do `work` in threads (decoding releases Python's lock); yield each result, or the error, in order.

    Only a limited number is in work at once, so that memory stays bounded however slow the caller is.
    """
    stopped = threading.Event()

    def attempt(some: tuple[int, ...]) -> list[tuple[int, Result | str]]:
        return [(number, one(number)) for number in some if not stopped.is_set()]

    def one(number: int) -> Result | str:
        if number in listing.bad:
            return listing.bad[number]
        try:
            return work(number)
        except DataError as error:
            return str(error)

    threads = min(_MOST_THREADS, os.cpu_count() or 1)
    waiting: deque[Future[list[tuple[int, Result | str]]]] = deque()
    Image.init()  # once, before threads do it at the same time
    with warnings.catch_warnings(), ThreadPoolExecutor(threads) as pool:
        warnings.filterwarnings("ignore", module="PIL")  # what matters in them also raises an error
        warnings.simplefilter("ignore", Image.DecompressionBombWarning)
        rest = iter(numbers)
        try:
            while some := tuple(itertools.islice(rest, _TASK)):
                waiting.append(pool.submit(attempt, some))
                if len(waiting) > 2 * threads:
                    yield from waiting.popleft().result()
            while waiting:
                yield from waiting.popleft().result()
        finally:  # a caller that stops early waits only for the pictures that are in work
            stopped.set()
            pool.shutdown(wait=False, cancel_futures=True)
