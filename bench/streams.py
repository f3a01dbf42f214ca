"""Streams: 100 and 1,000 clients of the event streams of five batches at 4 Hz."""

from __future__ import annotations

import asyncio
import logging
import re
import time
from collections.abc import Sequence
from datetime import datetime

from bench import clients
from bench.app import BATCHES, Server, run_separately, running_app, running_template, work_folder
from bench.report import Table

logger = logging.getLogger(__name__)

MANY = 1_000

_EVENT = re.compile(rb'data: \{"seq": (\d+), "ts": "([^"]+)"[^\n]*\n')


class StreamClient(clients.Client):
    """A client of the event stream of a batch. The delay of a point starts when it is produced."""

    def __init__(self, port: int, batch_id: str, channel: str) -> None:
        super().__init__(channel)
        self._request = f"GET /stream/{batch_id} HTTP/1.1\r\nHost: localhost:{port}\r\n\r\n"
        self._rest = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self.transport.write(self._request.encode())

    def data_received(self, data: bytes) -> None:
        now = time.time()
        self._rest += data
        end = 0
        for match in _EVENT.finditer(self._rest):
            end = match.end()
            created = datetime.fromisoformat(match[2].decode()).timestamp()
            self.add(int(match[1]), created, now)
        self._rest = self._rest[end:]


async def measure_streams(
    server: Server,
    batch_ids: Sequence[str],
    count: int,
    settle: float,
    seconds: float,
    is_template: bool = False,
) -> dict[str, float]:
    """Measure streams, distributed evenly over the batches. See ``clients.measure``."""

    def create(number: int) -> StreamClient:
        batch_id = batch_ids[number % len(batch_ids)]
        # The template counts events per connection.
        channel = f"{batch_id}, connection {number}" if is_template else batch_id
        return StreamClient(server.port, batch_id, channel)

    return await clients.measure(server, create, count, settle, seconds)


def measure(quick: bool) -> list[Table]:
    table = Table("Streams: clients of five batches at 4 Hz", *clients.COLUMNS)
    settle, seconds = (1, 2) if quick else (2, 5)
    counts = (20,) if quick else (100, MANY)
    for number in range(1 if quick else 3):
        for count in counts:
            logger.info("Streams, round %d: %d clients", number + 1, count)
            period = (count, settle, seconds)
            with work_folder() as folder, running_app(folder, folder / "app.duckdb") as server:
                server.start_batches()
                figures = run_separately(measure_streams, server, BATCHES, *period)
            table.add(f"{count:,} clients", figures)
        with work_folder() as folder, running_template(folder / "template.duckdb") as server:
            server.start_batches()
            figures = run_separately(measure_streams, server, BATCHES, *period, True)
        table.add(f"template, {count:,} clients", figures)
    case = f"{MANY:,} clients"
    table.target(case, clients.DELIVERED, at_least=100)
    table.target(case, clients.P99, below=100)
    table.target(case, clients.CPU, below=25)
    return [table]
