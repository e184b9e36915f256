"""Fetches one file over HTTP: goes on where it broke off, never hands out a part as the whole."""

from __future__ import annotations

import errno
import json
import time
import urllib.error
import urllib.parse
import urllib.request
from http.client import HTTPException, HTTPMessage, HTTPResponse
from pathlib import Path
from typing import IO, Any

from edge.base.errors import HostError, InputError, LinkError
from edge.base.paths import write_atomic
from edge.base.progress import Progress

# The Debian from which the kit takes packages for boards: a virtual board's root, libjpeg-turbo for a build.
DEBIAN_SUITE = "bookworm"
DEBIAN_MIRROR = "http://deb.debian.org/debian"
DEBIAN_MIRROR_ENV = "PLATE_EDGE_DEBIAN_MIRROR"
"""Names another mirror."""

BLOCK = 1 << 16
ATTEMPTS = 4


class _SafeRedirects(urllib.request.HTTPRedirectHandler):
    """Follows redirects, but never from https to something unencrypted."""

    def redirect_request(
        self, req: urllib.request.Request, fp: IO[bytes], code: int, msg: str, headers: HTTPMessage, newurl: str
    ) -> urllib.request.Request | None:
        """Refuses a downgrade; see the base class."""
        if req.full_url.startswith("https:") and not newurl.startswith("https:"):
            raise LinkError(f"{req.full_url} redirects to the unencrypted {newurl}.", "Choose another mirror.")
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def download(
    url: str,
    out: Path,
    *,
    timeout: float = 30.0,
    progress: Progress | None = None,
    pause: float = 1.0,
) -> Path:
    """Downloads `url` to `out`.

    What arrived is kept beside `out` as `<name>.part` and continued by the next call, when the server confirms by
    its ETag or Last-Modified that it is still the same file.

    Args:
        url: `http:` or `https:`.
        out: File to write; appears only when complete.
        timeout: Seconds without a byte after which the server counts as gone.
        progress: Called with bytes so far and bytes in all (0 when the server does not say).
        pause: Seconds before the second attempt; doubled for each further one.

    Returns:
        `out`.

    Raises:
        InputError: Not such a URL, or the server says that there is no such file.
        LinkError: The server cannot be reached, or broke off `ATTEMPTS` times.
        HostError: The disk is full.
    """
    if urllib.parse.urlsplit(url).scheme not in ("http", "https"):
        raise InputError(f"{url!r} is not an http or https address.")
    out.parent.mkdir(parents=True, exist_ok=True)
    part = out.with_name(out.name + ".part")
    for attempt in range(1, ATTEMPTS + 1):
        try:
            _fetch(url, part, timeout, progress)
            break
        except urllib.error.HTTPError as error:
            if error.code < 500 and error.code not in (408, 416, 429):
                raise InputError(
                    f"{url}: the server answers {error.code} {error.reason}.",
                    "Check the name, or name another server with --mirror or PLATE_EDGE_RUNTIME_MIRROR.",
                ) from error
            if error.code == 416:
                _forget(part)
            problem: Exception = error
        except LinkError:
            raise
        except (OSError, HTTPException, EOFError) as error:
            if isinstance(error, OSError) and (error.filename or error.errno in (errno.ENOSPC, errno.EDQUOT)):
                raise HostError(f"{part}: {error.strerror}.", "Free some space, or set PLATE_EDGE_CACHE.") from error
            problem = error
        if attempt == ATTEMPTS:
            raise LinkError(
                f"{url} cannot be fetched: {problem}.",
                "Run the same command again to go on. Where it cannot be reached, get the file elsewhere and use"
                " `edge runtime add FILE`, or build the library: docs/howto/offline.md.",
            ) from problem
        time.sleep(pause * 2 ** (attempt - 1))
    part.replace(out)
    _forget(part)
    return out


def _fetch(url: str, part: Path, timeout: float, progress: Progress | None) -> None:
    have, validator = _kept(url, part)
    headers = {"User-Agent": "plate-edge-kit", "Accept-Encoding": "identity"}
    if have:
        headers |= {"Range": f"bytes={have}-", "If-Range": validator}
    opener = urllib.request.build_opener(_SafeRedirects)
    with opener.open(urllib.request.Request(url, headers=headers), timeout=timeout) as answer:
        assert isinstance(answer, HTTPResponse)
        if answer.status != 206:
            have = 0
        length = int(answer.headers.get("Content-Length") or 0)
        total = have + length if length else 0
        mark = answer.headers.get("ETag") or answer.headers.get("Last-Modified") or ""
        write_atomic(_note(part), json.dumps({"url": url, "validator": "" if mark.startswith("W/") else mark}))
        with part.open("ab" if have else "wb") as out:
            while block := answer.read(BLOCK):
                out.write(block)
                have += len(block)
                if progress:
                    progress(have, total)
        if total and have != total:
            raise EOFError(f"the connection ended after {have} of {total} bytes")


def _note(part: Path) -> Path:
    return part.with_name(part.name + ".json")


def _kept(url: str, part: Path) -> tuple[int, str]:
    """Bytes of an earlier attempt that may be continued, and the validator by which the server knows them."""
    try:
        note: dict[str, Any] = json.loads(_note(part).read_text(encoding="utf-8"))
        if note["url"] == url and note["validator"]:
            return part.stat().st_size, str(note["validator"])
    except (OSError, ValueError, KeyError):
        pass
    return 0, ""


def _forget(part: Path) -> None:
    part.unlink(missing_ok=True)
    _note(part).unlink(missing_ok=True)
