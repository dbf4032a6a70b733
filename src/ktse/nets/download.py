"""Downloading one file: over https alone, of bounded size, going on where a connection broke."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.client import HTTPException, HTTPMessage, HTTPResponse
from typing import IO, BinaryIO
from urllib.error import HTTPError
from urllib.parse import urlsplit
from urllib.request import HTTPRedirectHandler, Request, build_opener

from ktse.errors import WeightsError

SCHEMES = ("https",)
"""How an address may begin, also one that a server points on to."""

TIMEOUT = 15.0
"""Seconds without an answer after which a connection counts as broken."""

ATTEMPTS = 4
"""Connections in all when one breaks after it has begun to deliver."""

PAUSE = 1.0
"""Seconds before the second connection; doubled before each further one."""

CHUNK = 2**20
"""Bytes that are taken at a time."""

OFFLINE_SWITCHES = ("KTSE_OFFLINE", "HF_HUB_OFFLINE")
"""Environment variables that forbid downloads when they are set to anything but nothing, 0, false, no or off."""

Progress = Callable[[int, int | None], None]
"""Called with the bytes that are there and the bytes in all, None where the server does not say."""


class _BrokenError(Exception):
    """The network failed; another try may help."""


def offline_switch() -> str:
    """Return the name of the environment variable that forbids downloads, or an empty string."""
    off = ("", "0", "false", "no", "off")
    return next((name for name in OFFLINE_SWITCHES if os.environ.get(name, "").strip().lower() not in off), "")


def download(url: str, file: BinaryIO, *, max_bytes: int, progress: Progress | None = None) -> None:
    """Write what an address delivers into an open file.

    A connection that breaks is taken up again where it broke, if the server says that the file is still the same, and
    from the beginning otherwise. A server that cannot be reached at all is an error at once.

    Args:
        url: Address, `https://...`.
        file: Empty, open for writing in binary.
        max_bytes: Most bytes that are taken.
        progress: Told of each piece.

    Raises:
        WeightsError: Downloads are switched off, the address is not https or does not exist, the server cannot be
            reached or breaks off again and again, or the file is too large.
    """
    if switch := offline_switch():
        raise WeightsError(f"downloads are switched off ({switch}): {url}", remedy=f"Unset {switch}.")
    done, tag = 0, ""
    for attempt in range(ATTEMPTS):
        try:
            with _answer(url, done, tag) as answer:
                if answer.status != 206:
                    done = file.seek(file.truncate(0))
                total, tag = _total(answer, done), _strong_tag(answer.headers)
                if max(done, total or 0) > max_bytes:
                    raise WeightsError(f"{url} has {total} bytes, more than the limit of {max_bytes}.")
                while piece := _piece(answer):
                    if done + len(piece) > max_bytes:
                        raise WeightsError(f"{url} delivers more than {max_bytes} bytes, the limit.")
                    done += file.write(piece)
                    if progress is not None:
                        progress(done, total)
                if total is not None and done < total:
                    raise _BrokenError(f"{done} of {total} bytes came")
            return
        except _BrokenError as error:
            if not done or attempt == ATTEMPTS - 1:
                where = f"broke off: {error}" if done else f"cannot be reached: {error}"
                raise WeightsError(
                    f"{url} {where}.",
                    remedy="Try again, or get the file on another machine and give it with --from FILE.",
                ) from error
            time.sleep(PAUSE * 2**attempt)


class _OnlyAllowed(HTTPRedirectHandler):
    """Follows a redirection only to where a first request may go."""

    def redirect_request(
        self, req: Request, fp: IO[bytes], code: int, msg: str, headers: HTTPMessage, newurl: str
    ) -> Request | None:
        _check_scheme(newurl)
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def _check_scheme(url: str) -> None:
    if urlsplit(url).scheme not in SCHEMES:
        raise WeightsError(f"'{url}' is no address that is downloaded from.", remedy="Only https is.")


@contextmanager
def _answer(url: str, begin: int, tag: str) -> Iterator[HTTPResponse]:
    """Open an address, from byte `begin` on if the file is still the one with this tag."""
    _check_scheme(url)
    headers = {"User-Agent": "ktse", "Accept-Encoding": "identity"}
    if begin and tag:
        headers |= {"Range": f"bytes={begin}-", "If-Range": tag}
    try:
        answer: HTTPResponse = build_opener(_OnlyAllowed).open(Request(url, headers=headers), timeout=TIMEOUT)  # noqa: S310
    except HTTPError as error:
        error.close()
        if error.code >= 500:
            raise _BrokenError(f"HTTP status {error.code}") from error
        raise WeightsError(
            f"{url} is refused by its server (HTTP status {error.code}).",
            remedy="It may have moved: look at its source in `ktse weights list`, and give the file with --from FILE.",
        ) from error
    except (OSError, HTTPException) as error:
        raise _BrokenError(str(getattr(error, "reason", error)) or type(error).__name__) from error
    with answer:
        yield answer


def _piece(answer: HTTPResponse) -> bytes:
    try:
        return answer.read(CHUNK)
    except (OSError, HTTPException) as error:
        raise _BrokenError(str(error) or type(error).__name__) from error


def _total(answer: HTTPResponse, done: int) -> int | None:
    """Return the bytes of the whole file, None where the server does not say."""
    length = answer.headers.get("Content-Length", "")
    return done + int(length) if length.isdecimal() else None


def _strong_tag(headers: HTTPMessage) -> str:
    """Return the mark by which a server knows a file again byte for byte, or an empty string."""
    tag = headers.get("ETag", "")
    return tag if tag.startswith('"') else ""
