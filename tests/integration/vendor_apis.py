"""A server on the loopback address that pages, filters, refuses and breaks off as the vendors' APIs do."""

from __future__ import annotations

import base64
import io
import json
import socket
import threading
import time
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

Record = dict[str, Any]
KEY = "sk-Geheim/42"


@dataclass(frozen=True)
class Request:
    """One request as it arrived; `number` counts from 1."""

    number: int
    method: str
    path: str
    params: dict[str, str]
    authorization: str
    body: str = ""
    token: str = ""  # of the header X-API-TOKEN


@dataclass
class Reply:
    """What goes back; `cut` closes the connection within the body, `truncate` sends half of it as if it were whole."""

    body: Any = None
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    cut: bool = False
    truncate: bool = False


Vendor = Callable[[Request], Reply]


class Server:
    """A vendor with what a test may do to it: `before` sees each request first and may answer in its place."""

    def __init__(self, vendor: Vendor) -> None:
        self.vendor = vendor
        self.before: Callable[[Request], Reply | None] = lambda _: None
        self.requests: list[Request] = []
        self.url = ""
        self._lock = threading.Lock()

    def reply(self, method: str, target: str, authorization: str, body: str, token: str) -> Reply:
        parts = urlsplit(target)
        with self._lock:
            params = dict(parse_qsl(parts.query))
            request = Request(len(self.requests) + 1, method, parts.path, params, authorization, body, token)
            self.requests.append(request)
            return self.before(request) or self.vendor(request)


@contextmanager
def serve(vendor: Vendor) -> Iterator[Server]:
    """Serve one vendor until the block ends."""
    server = Server(vendor)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def handle(self) -> None:
            with suppress(ConnectionResetError):  # the client does not read the answer of an error to its end
                super().handle()

        def do_GET(self) -> None:
            length = int(self.headers.get("Content-Length", 0))
            body = self.rfile.read(length).decode()
            sender, token = self.headers.get("Authorization", ""), self.headers.get("X-API-TOKEN", "")
            reply = server.reply(self.command, self.path, sender, body, token)
            text = reply.body if isinstance(reply.body, str | bytes) else json.dumps(reply.body)
            content = text.encode() if isinstance(text, str) else text
            sent = content[: len(content) // 2] if reply.cut or reply.truncate else content
            try:
                self.send_response(reply.status)
                for name, value in reply.headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(content if reply.cut else sent)))
                self.end_headers()
                self.wfile.write(sent)
                if reply.cut:
                    self.wfile.flush()
                    self.connection.shutdown(socket.SHUT_RDWR)
                    self.close_connection = True
            except OSError:  # the client was killed
                self.close_connection = True

        do_POST = do_GET

        def log_message(self, *_: Any) -> None:
            pass

    http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    http.daemon_threads = True
    thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    server.url = f"http://127.0.0.1:{http.server_port}"
    try:
        yield server
    finally:
        http.shutdown()
        http.server_close()
        thread.join()


def epoch(text: str) -> int:
    """Seconds of an ISO 8601 time in UTC."""
    return int(time.mktime(time.strptime(text[:19], "%Y-%m-%dT%H:%M:%S")) - time.timezone)


def _page(records: list[Record], number: int, size: int) -> list[Record]:
    return records[(number - 1) * size : number * size]


@dataclass
class Delighted:
    """Answers by page number in the order of creation, people by a Link header; the key is a user without password."""

    answers: list[Record] = field(default_factory=list)
    people: list[Record] = field(default_factory=list)
    unsubscribes: list[Record] = field(default_factory=list)
    page_size: int = 3

    def __call__(self, request: Request) -> Reply:
        if request.authorization != "Basic " + base64.b64encode(f"{KEY}:".encode()).decode():
            return Reply({"status": 401, "message": "Invalid API key"}, 401)
        size = min(int(request.params.get("per_page", 20)), self.page_size)
        page = int(request.params.get("page", 1))
        since = int(request.params.get("since", request.params.get("updated_since", 0)))
        until = int(request.params.get("until", request.params.get("updated_until", 1 << 40)))
        match request.path:
            case "/v1/survey_responses.json":
                found = [a for a in self.answers if since <= (a["updated_at"] or a["created_at"]) <= until]
                return Reply(_page(sorted(found, key=lambda a: a["created_at"]), page, size))
            case "/v1/unsubscribes.json":
                return Reply(
                    _page([u for u in self.unsubscribes if since <= u["unsubscribed_at"] <= until], page, size)
                )
            case "/v1/bounces.json":
                return Reply([])
            case "/v1/metrics.json":
                scores = [
                    a["score"] for a in self.answers if a["score"] is not None and since <= a["created_at"] <= until
                ]
                promoters, detractors = sum(score >= 9 for score in scores), sum(score <= 6 for score in scores)
                counts = {"promoter_count": promoters, "detractor_count": detractors, "response_count": len(scores)}
                nps = round(100 * (promoters - detractors) / len(scores)) if scores else 0
                return Reply({"nps": nps, "passive_count": len(scores) - promoters - detractors} | counts)
            case "/v1/people.json":
                start = int(request.params.get("page_info", 0))
                headers = {}
                if start + size < len(self.people):
                    query = urlencode({"per_page": size, "page_info": start + size})
                    headers["Link"] = f'<https://api.delighted.com/v1/people.json?{query}>; rel="next"'
                return Reply(self.people[start : start + size], headers=headers)
        return Reply({"status": 404}, 404)


@dataclass
class SurveyMonkey:
    """Bulk answers of each survey, with links that name the vendor's own host."""

    surveys: dict[str, list[Record]]
    page_size: int = 2

    def __call__(self, request: Request) -> Reply:
        if request.authorization != f"Bearer {KEY}":
            return Reply({"error": {"name": "Authorization Error"}}, 401)
        match request.path.removeprefix("/v3/").split("/"):
            case ["surveys"]:
                return self._list(request, [{"id": survey, "title": "?"} for survey in self.surveys])
            case ["surveys", survey, "details"]:
                return Reply({"id": survey, "title": "Relationship", "pages": [{"id": "1", "questions": []}]})
            case ["surveys", survey, "responses", "bulk"]:
                since = request.params.get("start_modified_at", "")
                found = [r for r in self.surveys[survey] if r["date_modified"][:19] >= since]
                is_newest_first = request.params.get("sort_order") == "DESC"
                return self._list(request, sorted(found, key=lambda r: r["date_modified"], reverse=is_newest_first))
        return Reply({"error": {"name": "Not Found"}}, 404)

    def _list(self, request: Request, records: list[Record]) -> Reply:
        page, size = int(request.params.get("page", 1)), min(int(request.params["per_page"]), self.page_size)
        links = {"self": "https://api.surveymonkey.com" + request.path}
        if page * size < len(records):
            query = urlencode(request.params | {"page": page + 1})
            links["next"] = f"https://api.surveymonkey.com{request.path}?{query}"
        return Reply({"data": _page(records, page, size), "page": page, "total": len(records), "links": links})


@dataclass
class Typeform:
    """Answers of each form since a time, inclusive, the oldest first."""

    forms: dict[str, list[Record]]

    def __call__(self, request: Request) -> Reply:
        if request.authorization != f"Bearer {KEY}":
            return Reply({"code": "AUTHENTICATION_FAILED"}, 403)
        match request.path.strip("/").split("/"):
            case ["forms"]:
                items = [{"id": form} for form in self.forms]
                return Reply({"total_items": len(items), "page_count": 1, "items": items})
            case ["forms", form, "responses"]:
                assert request.params["sort"] == "submitted_at,asc"
                since = request.params.get("since", "")
                found = sorted(
                    (r for r in self.forms[form] if r["submitted_at"] >= since), key=lambda r: str(r["submitted_at"])
                )
                return Reply({"total_items": len(found), "items": found[: int(request.params["page_size"])]})
        return Reply({"code": "FORM_NOT_FOUND"}, 404)


@dataclass
class HubSpot:
    """Objects with their properties, live ones and archived ones apart, by a cursor."""

    objects: dict[str, list[Record]]
    page_size: int = 2

    def __call__(self, request: Request) -> Reply:
        if request.authorization != f"Bearer {KEY}":
            return Reply({"status": "error", "category": "INVALID_AUTHENTICATION"}, 401)
        records = self.objects.get(request.path.rsplit("/", 1)[-1], [])
        if "owners" not in request.path:
            assert " " not in request.params["properties"]
        is_archived = request.params.get("archived", "false") == "true"
        records = [record for record in records if record["archived"] is is_archived]
        start = int(request.params.get("after", 0))
        body: Record = {"results": records[start : start + self.page_size]}
        if start + self.page_size < len(records):
            after = str(start + self.page_size)
            body["paging"] = {"next": {"after": after, "link": f"https://api.hubapi.com{request.path}?after={after}"}}
        return Reply(body)


@dataclass
class Zendesk:
    """Incremental exports in the order of change, whose last page still links to the next; groups as a plain list."""

    tickets: list[Record] = field(default_factory=list)
    users: list[Record] = field(default_factory=list)
    organizations: list[Record] = field(default_factory=list)
    groups: list[Record] = field(default_factory=list)
    page_size: int = 2

    def __call__(self, request: Request) -> Reply:
        expected = base64.b64encode(f"agent@shop.example/token:{KEY}".encode()).decode()
        if request.authorization != f"Basic {expected}":
            return Reply({"error": "Couldn't authenticate you"}, 401)
        name = request.path.removeprefix("/api/v2/").removeprefix("incremental/").split("/")[0].removesuffix(".json")
        if name == "groups":
            start = (int(request.params.get("page", 1)) - 1) * self.page_size
            is_last = start + self.page_size >= len(self.groups)
            query = urlencode({"page": start // self.page_size + 2})
            link = None if is_last else f"https://shop.zendesk.com{request.path}?{query}"
            return Reply({name: self.groups[start : start + self.page_size], "next_page": link})
        after = request.params.get("cursor", "")
        since = int(request.params.get("start_time", request.params.get("since", 0)))

        def place(record: Record) -> str:
            return f"{epoch(record['updated_at'])}|{record['id']:>9}"

        found = [record for record in getattr(self, name) if epoch(record["updated_at"]) >= since]
        found = sorted((record for record in found if place(record) > after), key=place)
        page = found[: self.page_size]
        query = urlencode({"since": since, "cursor": place(page[-1]) if page else after})
        following = f"https://shop.zendesk.com{request.path}?{query}"
        link = "next_page" if name == "organizations" else "after_url"
        return Reply({name: page, link: following, "end_of_stream": len(found) <= self.page_size})


@dataclass
class Salesforce:
    """SOQL with a locator for the next records, behind tokens that can expire at any moment."""

    records: dict[str, list[Record]]
    page_size: int = 2
    tokens: int = 0

    def __call__(self, request: Request) -> Reply:
        if request.path == "/services/oauth2/token":
            if f"client_secret={KEY.replace('/', '%2F')}" not in request.body:
                return Reply({"error": "invalid_client"}, 400)
            self.tokens += 1
            return Reply({"access_token": f"token-{self.tokens}", "token_type": "Bearer"})
        if request.authorization != f"Bearer token-{self.tokens}":
            return Reply([{"errorCode": "INVALID_SESSION_ID", "message": "Session expired or invalid"}], 401)
        if "q" in request.params:
            words = request.params["q"].split()
            name, start = words[words.index("FROM") + 1], 0
            since = words[-1]
        else:
            name, since, offset = request.path.rsplit("/", 1)[-1].split("_")
            start = int(offset)
        found = [r for r in self.records[name] if r["SystemModstamp"][:19] >= since.removesuffix("Z")]
        end = start + self.page_size
        body: Record = {"totalSize": len(found), "done": end >= len(found), "records": found[start:end]}
        if end < len(found):
            body["nextRecordsUrl"] = f"/services/data/v65.0/query/{name}_{since}_{end}"
        return Reply(body)


@dataclass
class Qualtrics:
    """Answers as zip files that are ordered and waited for; lists with the address of their next page."""

    surveys: dict[str, list[Record]]
    lists: dict[str, list[Record]] = field(default_factory=dict)  # by the path below /API/v3/
    page_size: int = 2
    polls: int = 2  # how often an export is still in the making
    exports: list[Record] = field(default_factory=list)

    def __call__(self, request: Request) -> Reply:
        if request.token != KEY:
            error = {"errorCode": "AUTH_6", "errorMessage": "Unrecognized X-API-TOKEN."}
            return Reply({"meta": {"httpStatus": "401 - Unauthorized", "error": error}}, 401)
        path = request.path.removeprefix("/API/v3/")
        match path.split("/"):
            case ["surveys"]:
                return self._page(request, [{"id": survey, "isActive": True} for survey in self.surveys])
            case ["surveys", survey, "export-responses"]:
                order = json.loads(request.body)
                assert (
                    request.method == "POST" and order["format"] == "json" and order["sortByLastModifiedDate"] is True
                )
                self.exports.append(order | {"survey": survey, "polls": self.polls})
                status = {"progressId": f"ES_{len(self.exports)}", "percentComplete": 0.0, "status": "inProgress"}
                return Reply({"result": status, "meta": {"requestId": "r-1"}})
            case ["surveys", survey, "export-responses", job]:
                export = self.exports[int(job.removeprefix("ES_")) - 1]
                assert export["survey"] == survey
                export["polls"] -= 1
                status = {"fileId": None, "percentComplete": 100.0, "status": "inProgress"}
                if export["polls"] < 0:
                    status |= {"fileId": f"{job}-def", "status": "complete"}
                return Reply({"result": status, "meta": {"requestId": "r-2"}})
            case ["surveys", survey, "export-responses", file, "file"]:
                export = self.exports[int(file.removeprefix("ES_").removesuffix("-def")) - 1]
                since, until = export.get("startDate", ""), export.get("endDate", "9999")
                changed = [
                    answer for answer in self.surveys[survey] if since <= answer["values"]["lastModifiedDate"] < until
                ]
                content = io.BytesIO()
                with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as archive:
                    archive.writestr(f"Relationship {survey}.json", json.dumps({"responses": changed}))
                return Reply(content.getvalue(), headers={"Content-Type": "application/zip"})
        key = path + "/" + request.params["surveyId"] if "surveyId" in request.params else path
        return self._page(request, self.lists.get(key, []))

    def _page(self, request: Request, records: list[Record]) -> Reply:
        start = int(request.params.get("skipToken", 0))
        end = start + self.page_size
        query = urlencode(request.params | {"skipToken": end})
        following = f"https://iad1.qualtrics.com{request.path}?{query}" if end < len(records) else None
        return Reply({"result": {"elements": records[start:end], "nextPage": following}, "meta": {}})
