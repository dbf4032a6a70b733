from __future__ import annotations

import io
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from ktse.errors import WeightsError
from ktse.nets import download as module
from ktse.nets.download import download, offline_switch

CONTENT = bytes(range(256)) * 20
Answer = Callable[[BaseHTTPRequestHandler], None]


@dataclass
class Server:
    """A server on this machine that answers each request by the next answer, the last one again and again."""

    url: str = ""
    answers: list[Answer] = field(default_factory=list)
    asked: list[dict[str, str]] = field(default_factory=list)


def send(status: int = 200, body: bytes = CONTENT, *, length: int | None = -1, **headers: str) -> Answer:
    def answer(request: BaseHTTPRequestHandler) -> None:
        request.send_response(status)
        if length is not None:
            request.send_header("Content-Length", str(len(body) if length == -1 else length))
        for name, value in headers.items():
            request.send_header(name, value)
        request.end_headers()
        request.wfile.write(body)

    return answer


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    state = Server()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            state.asked.append(dict(self.headers))
            answer = state.answers.pop(0) if len(state.answers) > 1 else state.answers[0]
            answer(self)

        def log_message(self, *_: object) -> None:
            pass

    monkeypatch.setattr(module, "SCHEMES", ("http",))
    monkeypatch.setattr(module, "PAUSE", 0.0)
    monkeypatch.setattr(module, "CHUNK", 1000)
    for name in (*module.OFFLINE_SWITCHES, "http_proxy", "HTTP_PROXY"):
        monkeypatch.delenv(name, raising=False)
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as running:
        threading.Thread(target=running.serve_forever, args=(0.01,), daemon=True).start()
        state.url = f"http://127.0.0.1:{running.server_port}/file.pth"
        yield state
        running.shutdown()


def fetched(server: Server, *, max_bytes: int = 10**6) -> bytes:
    file = io.BytesIO()
    download(server.url, file, max_bytes=max_bytes)
    return file.getvalue()


@pytest.mark.parametrize("length", [-1, None], ids=["length is told", "length is not told"])
def test_a_file_comes_whole_and_tells_how_far_it_is(server: Server, length: int | None) -> None:
    server.answers = [send(length=length)]
    file, told = io.BytesIO(), list[tuple[int, int | None]]()
    download(server.url, file, max_bytes=len(CONTENT), progress=lambda done, total: told.append((done, total)))
    assert file.getvalue() == CONTENT
    assert told[-1] == (len(CONTENT), None if length is None else len(CONTENT))
    assert [done for done, _ in told] == sorted(done for done, _ in told)
    assert len(told) > 3


def test_a_broken_connection_goes_on_where_it_broke(server: Server) -> None:
    server.answers = [
        send(body=CONTENT[:3000], length=len(CONTENT), ETag='"a"'),
        send(206, CONTENT[3000:], ETag='"a"'),
    ]
    assert fetched(server) == CONTENT
    assert (server.asked[1]["Range"], server.asked[1]["If-Range"]) == ("bytes=3000-", '"a"')


@pytest.mark.parametrize("tag", [{}, {"ETag": 'W/"a"'}, {"ETag": '"old"'}], ids=["no tag", "weak tag", "file changed"])
def test_another_file_is_not_stitched_to_the_old_one(server: Server, tag: dict[str, str]) -> None:
    server.answers = [send(body=b"x" * 3000, length=len(CONTENT), **tag), send()]
    assert fetched(server) == CONTENT
    assert ("Range" in server.asked[1]) == (tag.get("ETag") == '"old"')


@pytest.mark.parametrize(
    ("answer", "fault"),
    [
        (send(404), "HTTP status 404.*--from FILE"),
        (send(503), "cannot be reached: HTTP status 503"),
        (send(body=CONTENT[:3000], length=len(CONTENT)), "broke off: 3000 of 5120 bytes came"),
    ],
    ids=["absent", "server in trouble", "breaks always"],
)
def test_what_cannot_be_had(server: Server, answer: Answer, fault: str) -> None:
    server.answers = [answer]
    with pytest.raises(WeightsError, match=fault):
        fetched(server)
    assert len(server.asked) == (module.ATTEMPTS if "broke off" in fault else 1)


@pytest.mark.parametrize("length", [-1, None], ids=["announced", "not announced"])
def test_too_large(server: Server, length: int | None) -> None:
    server.answers = [send(length=length)]
    with pytest.raises(WeightsError, match=r"more than .*limit"):
        fetched(server, max_bytes=len(CONTENT) - 1)


@pytest.mark.parametrize("target", ["ftp://127.0.0.1/x", "file:///etc/passwd", "https://127.0.0.1/x"])
def test_a_redirection_leads_only_where_a_first_request_may_go(server: Server, target: str) -> None:
    server.answers = [send(302, b"", Location=target)]
    with pytest.raises(WeightsError, match=r"no address that is downloaded from|refused by its server"):
        fetched(server)
    assert len(server.asked) == 1


@pytest.mark.parametrize("url", ["http://127.0.0.1/x", "file:///etc/passwd", "ftp://127.0.0.1/x", "x"])
def test_only_https(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in module.OFFLINE_SWITCHES:
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(WeightsError, match="Only https"):
        download(url, io.BytesIO(), max_bytes=10)


def test_nobody_answers(server: Server) -> None:
    server.url = "http://127.0.0.1:9/x"
    with pytest.raises(WeightsError, match=r"cannot be reached: .*--from FILE"):
        fetched(server)


@pytest.mark.parametrize("name", module.OFFLINE_SWITCHES)
def test_switched_off(server: Server, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    server.answers = [send()]
    monkeypatch.setenv(name, "1")
    with pytest.raises(WeightsError, match=rf"switched off \({name}\)"):
        fetched(server)
    assert not server.asked


@pytest.mark.parametrize("value", ["", "0", "false", "No", "off"])
def test_a_switch_may_be_off(value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    monkeypatch.setenv("KTSE_OFFLINE", value)
    assert offline_switch() == ""
