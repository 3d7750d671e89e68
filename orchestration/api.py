"""Asking a vendor's API, through dlt's REST client: pages, retries, pace, and errors a person can act on.

dlt's `incremental` is not used: it fails on a record without a time, drops records older than its start, and would
store its state before our file is complete. Cursor and state are those of `extract`.
"""

from __future__ import annotations

import base64
import hashlib
import io
import json
import os
import re
import time
import zipfile
import zlib
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, quote_plus, urlsplit, urlunsplit

from orchestration.extractors import Extractor, Resource, value_at
from orchestration.settings import ConfigError, Settings

if TYPE_CHECKING:
    import requests
    from dlt.sources.helpers.rest_client.client import PageData, RESTClient

Record = dict[str, Any]

_LONGEST_EXCERPT = 300
_ADDRESS = re.compile(r"[^\s\"'<>,;:=()\\]{1,64}(?:@|%40)[^\s\"'<>,;:=()\\]+")
_MOST_REPEATS = 3
_LONGEST_POLL_SECONDS = 30.0
_LONGEST_EXPORT_SECONDS = 3600.0


class ExtractError(Exception):
    """The API did not give what was asked for; the message names source, resource, fault and remedy."""


class Refused(ExtractError):
    """The API refuses this key or this request; asking again is of no use before someone changes it."""

    def __init__(self, message: str, *, denied: str = "") -> None:
        """`denied`: what alone is forbidden or not there, which may be one of many."""
        super().__init__(message)
        self.denied = denied


class Api:
    """One vendor's API with the secrets of the environment; no secret leaves it in a message.

    Raises:
        ConfigError: an environment variable is missing, or dlt does not know the paginator or the kind of `auth`.
    """

    def __init__(self, extractor: Extractor, settings: Settings, environment: Mapping[str, str] = os.environ) -> None:
        # Set before dlt is first imported: it sends no telemetry and keeps out of the home folder.
        os.environ.update({"RUNTIME__DLTHUB_TELEMETRY": "false", "DLT_DATA_DIR": str(settings.dlt)})
        # dlt takes most of a second to import, and a run that extracts nothing does without.
        from dlt.common.configuration.specs import RuntimeConfiguration  # noqa: PLC0415
        from dlt.sources.helpers.requests import Client  # noqa: PLC0415
        from dlt.sources.helpers.rest_client.client import RESTClient  # noqa: PLC0415
        from dlt.sources.rest_api.config_setup import get_auth_class  # noqa: PLC0415

        self._extractor = extractor
        self._base_url, auth = extractor.resolved(environment)
        self._secrets: set[str] = set()
        for name in extractor.credentials():
            self._keep_secret(environment[name])
        retry = extractor.retry
        session = Client(
            raise_for_status=False,
            request_timeout=retry.timeout_seconds,
            request_max_attempts=retry.attempts,
            request_backoff_factor=retry.backoff_seconds,
            request_max_retry_delay=retry.longest_wait_seconds,
        ).session
        # Of all requests the one for a token has no hooks of its own.
        session.hooks["response"].append(_check_token)
        kind = auth.pop("type", "bearer")
        self._key_header = kind == "api_key"
        try:
            takes_session = {"session": session} if kind == "oauth2_client_credentials" else {}
            self._auth = get_auth_class(kind)(**auth, **takes_session)
            for resource in extractor.resources.values():
                self._paginator(resource)
        except (TypeError, ValueError) as error:
            raise ConfigError(f"extractors/{extractor.source}.yml: {self._redacted(str(error))}") from None
        self._client: RESTClient = RESTClient(
            self._base_url, auth=self._auth, session=session, config=RuntimeConfiguration(dlthub_telemetry=False)
        )
        self._asked: deque[float] = deque(maxlen=extractor.requests_per_minute)

    def pages(self, name: str, path: str, params: Mapping[str, Any]) -> Iterator[list[Record]]:
        """The pages of a resource, in the order of the API; `path` and `params` without placeholders.

        Raises:
            ExtractError: the API refused, failed for longer than the retries last, or gave something else than
                the records of a page. What was given so far is not the whole.
        """
        from dlt.sources.helpers.rest_client.paginators import JSONResponseCursorPaginator  # noqa: PLC0415

        resource = self._extractor.resources[name]
        where = f"{self._extractor.source}.{name}"
        if resource.export:
            yield self._exported(where, resource, path, params)
            return
        pages = self._client.paginate(
            path,
            params={key: str(value).lower() if isinstance(value, bool) else value for key, value in params.items()},
            paginator=self._paginator(resource),
            data_selector=resource.data_selector,
            hooks=self._hooks(where),
        )
        asked = set()
        given: set[bytes] = set()
        repeats = 0
        while True:
            self._keep_pace()
            with self._faults(where):
                page = next(pages, None)
            if page is None:
                return
            body = page.response.json()
            self._check_page(where, resource, page, body)
            yield list(page)
            content = hashlib.sha256("\n".join(sorted(map(json.dumps, page))).encode()).digest()
            repeats = repeats + 1 if page and content in given else 0
            given.add(content)
            last = resource.last_page
            is_last = last.flag is not None and value_at(body, last.flag) is True
            is_last = is_last or (last.shorter_than is not None and len(page) < last.shorter_than)
            goes_on = last.shorter_than is not None and isinstance(page.paginator, JSONResponseCursorPaginator)
            if goes_on and not is_last and not page.paginator.has_next_page:
                raise ExtractError(
                    f"{where}: the last record of a full page has no value to ask on from, and more may follow; "
                    f"correct it in the tool, or the paginator in extractors/{self._extractor.source}.yml"
                )
            if is_last or not page.paginator.has_next_page:
                return
            page.request.url = self._at_home(str(page.request.url))
            request = (page.request.url, str(page.request.params))
            # Once is a hiccup; an API that does not know the page parameter gives its first page for ever, and one
            # whose cursors are always new can go round in a circle.
            if request in asked or repeats == _MOST_REPEATS:
                raise ExtractError(
                    f"{where}: the API leads back to a page it already gave; what was not whole is not kept"
                )
            asked.add(request)

    def _exported(self, where: str, resource: Resource, path: str, order: Mapping[str, Any]) -> list[Record]:
        """The records of a file that the API makes to order; it is asked for until it is there."""
        deadline = time.monotonic() + _LONGEST_EXPORT_SECONDS
        wait = self._extractor.retry.backoff_seconds
        response = self._request(where, "POST", path, json=dict(order))
        job = value_at(response.json(), "result.progressId")
        file = None
        while file is None:
            status = value_at(response.json(), "result.status")
            if not job or status == "failed" or time.monotonic() > deadline:
                fault = "is not made within an hour" if job and status != "failed" else "could not be made"
                raise ExtractError(f"{where}: the export {fault}; run it again: {self._excerpt(response)}")
            time.sleep(wait)
            wait = min(2 * wait, _LONGEST_POLL_SECONDS)
            response = self._request(where, "GET", f"{path}/{job}")
            # percentComplete says 100 before the file is there, and for a failed export as well.
            if value_at(response.json(), "result.status") == "complete":
                file = value_at(response.json(), "result.fileId")
        content = _unzipped(self._request(where, "GET", f"{path}/{file}/file", read=_unzipped))
        records = value_at(content, resource.data_selector)
        if not isinstance(records, list) or any(not isinstance(record, dict) for record in records):
            raise ExtractError(f"{where}: the exported file has no list of records in {resource.data_selector!r}")
        return records

    def _request(
        self, where: str, method: Any, path: str, *, read: Callable[[requests.Response], Any] | None = None, **how: Any
    ) -> requests.Response:
        self._keep_pace()
        with self._faults(where):
            return self._client.request(path, method=method, hooks=self._hooks(where, read), **how)

    def _hooks(self, where: str, read: Callable[[requests.Response], Any] | None = None) -> Any:
        # requests lets a hook replace the response; dlt's type does not say so.
        return {"response": [partial(self._checked, where, read)]}

    @contextmanager
    def _faults(self, where: str) -> Iterator[None]:
        """A fault that outlasted the client's retries, as an error a person can act on."""
        import requests  # noqa: PLC0415  (comes with dlt)

        try:
            yield
        except (requests.RequestException, ValueError) as error:
            told = str(error)
            if not isinstance(error, requests.RequestException):
                told = told.partition(", got ")[0]  # where dlt puts the whole answer
            fault = self._redacted(told)[:_LONGEST_EXCERPT]
            status = getattr(getattr(error, "response", None), "status_code", 0)
            if _is_refusal(status):  # where the token is asked for
                raise Refused(f"{where}: {fault} {self._remedy(401)}") from None
            raise ExtractError(f"{where}: {fault}; what was not whole is not kept, run it again") from None

    def _check_page(self, where: str, resource: Resource, page: PageData[Any], body: Any) -> None:
        """Tell an empty page from an answer that is no page at all, for which dlt gives an empty page as well."""
        selector, fault = resource.data_selector, None
        is_single = (resource.paginator or self._extractor.paginator) == "single_page"
        if selector != "$" and value_at(body, selector) is None:
            fault = f"the answer has no {selector!r}"
        elif selector == "$" and not is_single and not isinstance(body, list):
            fault = "the answer is no list"
        elif any(not isinstance(record, dict) for record in page):
            fault = "the answer holds something else than records"
        elif resource.last_page.flag and not isinstance(value_at(body, resource.last_page.flag), bool):
            fault = f"the answer does not say {resource.last_page.flag!r}"
        if fault:
            raise ExtractError(f"{where}: {fault}: {self._excerpt(page.response)}")

    def _paginator(self, resource: Resource) -> Any:
        from dlt.sources.rest_api.config_setup import create_paginator  # noqa: PLC0415

        config: Any = resource.paginator or self._extractor.paginator
        return create_paginator(config)

    def _keep_pace(self) -> None:
        if len(self._asked) == self._asked.maxlen:
            time.sleep(max(0.0, self._asked[0] + 60 - time.monotonic()))
        self._asked.append(time.monotonic())

    def _at_home(self, url: str) -> str:
        """The link to the next page on the host of `base_url`, so that an answer cannot send the secret elsewhere."""
        home = urlsplit(self._base_url)
        return urlunsplit(urlsplit(url)._replace(scheme=home.scheme, netloc=home.netloc))

    def _checked(
        self,
        where: str,
        read: Callable[[requests.Response], Any] | None,
        response: requests.Response,
        *,
        is_second: bool = False,
        **how: Any,
    ) -> requests.Response:
        """Look at each response within the client's retries, where raising a RequestException asks for another try."""
        import requests  # noqa: PLC0415

        if sent := response.request.headers.get("Authorization"):  # also a token that was obtained on the way
            self._keep_secret(str(sent).rpartition(" ")[2])
        status = response.status_code
        if response.is_redirect:
            host = urlsplit(response.headers["Location"]).netloc
            if self._key_header and host not in ("", urlsplit(self._base_url).netloc):
                # requests takes off Authorization on the way to another host, and no other header.
                raise Refused(f"{where}: the API leads to another host, {host}, which must not see the key")
            return response
        if status == 401 and not is_second and self._renew_token(response):
            again = response.connection.send(response.request, **how)
            return self._checked(where, read, again, is_second=True, **how)
        if status == 429 or status >= 500:
            header = self._extractor.retry.wait_header
            if header and header in response.headers and "Retry-After" not in response.headers:
                response.headers["Retry-After"] = response.headers[header]
            raise requests.HTTPError(
                f"HTTP {status} from {response.request.path_url} after {self._extractor.retry.attempts} attempts",
                response=response,
            )
        if _is_refusal(status):
            excerpt = self._excerpt(response)
            raise Refused(
                f"{where}: HTTP {status} {self._remedy(status)}: {excerpt}",
                denied=f"HTTP {status}: {excerpt}" if status in (403, 404) else "",
            )
        try:
            (read or requests.Response.json)(response)
        except (ValueError, zipfile.BadZipFile, zlib.error):
            # A proxy that cuts an answer still sends 200 and a length.
            kind = "a whole zip file with JSON" if read else "whole JSON"
            raise requests.exceptions.ChunkedEncodingError(f"the answer is not {kind}", response=response) from None
        return response

    def _renew_token(self, response: requests.Response) -> bool:
        """Put a new token on the request, where the vendor gives one; dlt asks for one only when its time is up."""
        from dlt.sources.helpers.rest_client.auth import OAuth2ClientCredentials  # noqa: PLC0415

        if not isinstance(self._auth, OAuth2ClientCredentials):
            return False
        self._auth.obtain_token()
        self._auth(response.request)
        return True

    def _remedy(self, status: int) -> str:
        keys = " and ".join(self._extractor.credentials())
        match status:
            case 401:
                return f"(not authorised; the key has expired or is wrong: renew {keys})"
            case 403:
                return f"(forbidden; give the key in {keys} the right to read this)"
            case 404:
                return f"(no such thing; correct the path in extractors/{self._extractor.source}.yml)"
        return f"(correct the request in extractors/{self._extractor.source}.yml)"

    def _excerpt(self, response: requests.Response) -> str:
        """What an error says; of an answer that is none, the shape alone: it may hold persons."""
        path = response.request.path_url.split("?")[0]
        if response.ok:
            body = response.json()
            shape = f"a list of {len(body)}" if isinstance(body, list) else type(body).__name__
            if isinstance(body, dict):
                shape = f"an object with {', '.join(map(repr, body)) or 'nothing'}"
            return self._redacted(f"{path} gives {shape}")[:_LONGEST_EXCERPT]
        # Cut last: the half of a secret is not known again.
        return f"{self._redacted(path)} says {self._redacted(response.text)[:_LONGEST_EXCERPT]!r}"

    def _keep_secret(self, secret: str) -> None:
        """Remember how a secret may stand in an answer that gives the request back, or in an address."""
        packed = base64.b64encode(secret.encode()).decode()
        for text in (secret, packed) if secret else ():
            escaped = json.dumps(text)[1:-1]
            self._secrets |= {text, quote(text, safe=""), quote_plus(text), escaped, escaped.replace("/", "\\/")}

    def _redacted(self, text: str) -> str:
        for secret in sorted(self._secrets, key=len, reverse=True):  # one may be a part of another
            text = text.replace(secret, "***")
        return _ADDRESS.sub("***", text)


def _check_token(response: requests.Response, **_: Any) -> None:
    """Look at what gives a token within the client's retries, as at every other answer."""
    import requests  # noqa: PLC0415

    try:
        if response.status_code == 200:
            response.json()
    except ValueError:
        raise requests.exceptions.ChunkedEncodingError(
            "what answers where the token is asked for gives no JSON; is the address right?", response=response
        ) from None


def _is_refusal(status: int) -> bool:
    return 400 <= status < 500 and status != 429


def _unzipped(response: requests.Response) -> Any:
    """The JSON in a zip file.

    Raises:
        BadZipFile, zlib.error: the file is cut or damaged.
        ValueError: it does not hold one file with JSON.
    """
    with zipfile.ZipFile(io.BytesIO(response.content)) as archive:
        (name,) = archive.namelist()
        return json.loads(archive.read(name))
