"""The API over real HTTP: many at once, foreign pages, other machines."""

from __future__ import annotations

import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx

from tests.e2e.modes import in_both_modes
from tests.running_app import PROJECT, RunningApp, http


def fifty(app: RunningApp, ids: list[str]) -> Counter[int]:
    """POST all of them at once, each on a connection of its own; how often each status came."""
    together = threading.Barrier(len(ids))

    def post(batch_id: str) -> httpx.Response:
        with httpx.Client(base_url=app.api, timeout=30) as client:
            client.get("/tasks")  # The connection is open before the race begins.
            together.wait()
            return client.post(f"/stream/{batch_id}")

    with ThreadPoolExecutor(len(ids)) as pool:
        answers = list(pool.map(post, ids))
    for answer in answers:
        if answer.status_code == 429:
            assert answer.json()["limit"] == 5
    return Counter(answer.status_code for answer in answers)


@in_both_modes
def test_fifty_posts_at_once_start_exactly_five_or_one(app: RunningApp) -> None:
    assert fifty(app, [f"b{n}" for n in range(50)]) == {201: 5, 429: 45}
    assert len(http.get(f"{app.api}/tasks").json()["tasks"]) == 5
    app.free_slots()
    assert fifty(app, ["one"] * 50) == {201: 1, 409: 49}
    assert len(http.get(f"{app.api}/batches/one").json()["runs"]) == 1


@in_both_modes
def test_a_foreign_page_may_not_speak(app: RunningApp) -> None:
    for method in ("POST", "DELETE"):
        answer = http.request(
            method, f"{app.api}/stream/b", headers={"Origin": "http://evil.example"}
        )
        assert answer.status_code == 403
        assert answer.headers["content-type"] == "application/problem+json"
        assert "access-control-allow-origin" not in answer.headers
    for origin, allowed in [("http://evil.example", False), (app.url, True)]:
        handshake = {
            "Origin": origin,
            "Connection": "Upgrade",
            "Upgrade": "websocket",
            "Sec-WebSocket-Version": "13",
            "Sec-WebSocket-Key": "c29sby1zb2xvLXNvbG8hIQ==",
        }
        url = f"{app.api}/_event/?EIO=4&transport=websocket&token=t"
        answer = http.get(url, headers=handshake)
        assert (answer.status_code == 101) is allowed, (origin, answer.status_code)
    own = http.post(f"{app.api}/stream/own", headers={"Origin": app.url})
    assert own.status_code == 201


def test_production_answers_browsers_and_programs_on_one_address(prod_app: RunningApp) -> None:
    page = http.get(f"{prod_app.api}/", headers={"Accept": "text/html,*/*;q=0.8"})
    data = http.get(f"{prod_app.api}/")
    assert page.headers["content-type"].startswith("text/html")
    assert data.json()["task_limit"] == 5
    assert "Accept" in page.headers["vary"]
    assert "Accept" in data.headers["vary"]
    deep = http.get(f"{prod_app.api}/batch/abc", headers={"Accept": "text/html"})
    assert (deep.status_code, deep.headers["content-type"][:9]) == (200, "text/html")
    missing = http.get(f"{prod_app.api}/nothing")
    assert missing.status_code == 404
    assert missing.headers["content-type"] == "application/problem+json"
    assert http.get(f"{prod_app.api}/batches/abc").status_code == 404  # Looking started nothing.


@in_both_modes
def test_it_listens_on_this_machine_only(app: RunningApp) -> None:
    ports = {app.backend_port, app.frontend_port}
    listening = set()
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        for row in Path(table).read_text().splitlines()[1:]:
            address, state = row.split()[1], row.split()[3]
            host, port = address.split(":")
            if state == "0A" and int(port, 16) in ports:
                listening.add((host, int(port, 16)))
    assert {port for _, port in listening} == ports
    assert {host for host, _ in listening} == {"0100007F"}  # 127.0.0.1


@in_both_modes
def test_a_start_leaves_the_files_of_the_project_as_they_are(app: RunningApp) -> None:
    for file in (PROJECT / "reflex.lock").iterdir():
        assert (app.folder / "reflex.lock" / file.name).read_bytes() == file.read_bytes()
