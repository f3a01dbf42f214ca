"""The commands `start`, `stop`, `list` and `agg` against a real server."""

from __future__ import annotations

import json
import re

import pytest

from solo_app.batches.models import RestartPolicy
from solo_app.cli.batches import parse_parameter
from tests.cli.command import App, run
from tests.cli.conftest import OLD_BATCHES
from tests.helpers.service import wait_until

pytestmark = pytest.mark.anyio


async def test_start_sends_all_options(app: App) -> None:
    service, url = app
    options = ("--source", "http", "--restart", "never", "--unit", "°C", "--description", "Attic")
    parameters = ("--parameter", "url=http://127.0.0.1:9/a=b", "--parameter", "interval=0.5")
    assert await run(url, "start", "b1", *options, *parameters) == (0, "b1: started\n", "")
    batch = service.batch("b1")
    assert (batch.labels.unit, batch.labels.description) == ("°C", "Attic")
    assert batch.run.restart is RestartPolicy.NEVER
    assert batch.run.parameters["url"] == "http://127.0.0.1:9/a=b"
    assert batch.run.parameters["interval"] == 0.5


async def test_start_without_options_repeats_the_latest_run(app: App) -> None:
    service, url = app
    assert (await run(url, "start", "r1", "--parameter", "low=50"))[0] == 0
    await service.stop("r1")
    assert await run(url, "start", "r1") == (0, "r1: started\n", "")
    assert service.batch("r1").run.parameters["low"] == 50


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1", 1),
        ("-0.5", -0.5),
        ("true", True),
        ("null", None),
        ("007", "007"),
        ("", ""),
        ("a=b", "a=b"),
        ('"5"', "5"),
        ("[1]", [1]),
        ("[" * 100_000, "[" * 100_000),
    ],
    ids=lambda value: str(value)[:10],
)
def test_parameter_is_json_or_text(text: str, value: object) -> None:
    assert parse_parameter(f"name={text}") == ("name", value)


async def test_parameter_without_name_is_a_usage_error(app: App) -> None:
    code, output, error = await run(app[1], "start", "b", "--parameter", "interval")
    assert (code, output) == (2, "")
    assert "'interval' is not NAME=VALUE" in error


async def test_refusal_of_server_is_one_line(app: App) -> None:
    arguments = ("start", "b", "--source", "http", "--parameter", "interval=Infinity")
    code, output, error = await run(app[1], *arguments)
    assert (code, output) == (1, "")
    assert len(error.splitlines()) == 1
    assert "url" in error.lower()


async def test_stop_ends_batches_and_reports_unknown_ones(app: App) -> None:
    service, url = app
    for batch_id in ("s1", "s2"):
        await service.start(batch_id, source="silent")
    expected = (1, "s1: stopped\ns2: stopped\n", 'Batch "unknown" not found.\n')
    assert await run(url, "stop", "s1", "s2", "unknown") == expected
    assert service.running() == []
    code, output, _ = await run(url, "stop", "s1", "--json")
    assert (code, json.loads(output)) == (0, {"message": "Batch stopped", "batch_id": "s1"})


async def test_list_aligns_columns_and_filters(app: App) -> None:
    service, url = app
    await service.start("few", source="few")
    await wait_until(lambda: not service.batch("few").is_running)
    code, output, error = await run(url, "list", "--status", "finished")
    time = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ"
    assert (code, error) == (0, "")
    header, line = output.splitlines()
    assert " ".join(header.split()) == "BATCH STATUS SOURCE RUN STARTED ENDED POINTS ERROR"
    assert re.fullmatch(rf"few    finished  few     1    {time}  {time}  5       -", line)


async def test_list_requests_all_pages(app: App) -> None:
    code, output, _ = await run(app[1], "list", "--json")
    names = [batch["batch_id"] for batch in json.loads(output)["batches"]]
    assert code == 0
    assert sorted(name for name in names if name.startswith("old-")) == sorted(OLD_BATCHES)


async def test_agg_prints_fields_or_json(app: App) -> None:
    service, url = app
    await service.start("a1", source="silent")
    at = ("--at", "2012-11-11T10:11:10Z")
    code, output, error = await run(url, "agg", "a1", *at)
    assert (error, code, output.splitlines()) == (
        "",
        0,
        [
            "batch_id  a1",
            "from      2012-11-11T10:10:00Z",
            "to        2012-11-11T10:11:00Z",
            "average   -",
            "sum       0",
            "count     0",
        ],
    )
    code, output, _ = await run(url, "agg", "a1", *at, "--json")
    assert (code, json.loads(output)["average"]) == (0, None)


async def test_invalid_time_is_refused_with_its_reason(app: App) -> None:
    code, _, error = await run(app[1], "agg", "a1", "--at", "noon")
    assert code == 1
    assert error.startswith("Query parameter at: use an ISO 8601 time")
