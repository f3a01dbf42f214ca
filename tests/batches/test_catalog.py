"""Batch ids, suggested names, and lists of batches."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest

from solo_app.batches.catalog import Catalog, check_batch_id
from solo_app.batches.errors import BatchNotFoundError, InvalidBatchIdError
from solo_app.batches.models import Batch, BatchStatus, Run
from tests.helpers.batch_ids import INVALID_IDS, VALID_IDS

START = datetime(2026, 1, 1)


def catalog_of(*batches: tuple[str, BatchStatus]) -> Catalog:
    """Return a catalog of batches, each started an hour after the previous one."""
    catalog = Catalog()
    for no, (batch_id, status) in enumerate(batches, 1):
        run = Run(1, "random", status, START + no * timedelta(hours=1), first_seq=1)
        catalog.upsert(Batch(no, batch_id, run))
    return catalog


@pytest.mark.parametrize("batch_id", VALID_IDS)
def test_valid_id_is_accepted(batch_id: str) -> None:
    check_batch_id(batch_id)


@pytest.mark.parametrize("batch_id", INVALID_IDS)
def test_invalid_id_is_refused_with_the_rule(batch_id: str) -> None:
    with pytest.raises(InvalidBatchIdError, match="1 to 64"):
        check_batch_id(batch_id)


def test_unknown_batch_is_not_found() -> None:
    with pytest.raises(BatchNotFoundError, match='Batch "unknown" not found'):
        Catalog().get("unknown")


def test_batches_are_listed_newest_first() -> None:
    catalog = catalog_of(("a", BatchStatus.STOPPED), ("b", BatchStatus.RUNNING))
    assert [batch.batch_id for batch in catalog.select(None, "")] == ["b", "a"]
    restarted = Run(2, "random", BatchStatus.RUNNING, START + timedelta(days=1), first_seq=1)
    catalog.upsert(Batch(1, "a", restarted))
    assert [batch.batch_id for batch in catalog.select(None, "")] == ["a", "b"]


def test_batches_are_found_by_status_and_text() -> None:
    catalog = catalog_of(
        ("alpha", BatchStatus.STOPPED),
        ("beta", BatchStatus.STOPPED),
        ("Alphabet", BatchStatus.RUNNING),
    )

    def select(status: BatchStatus | None, search: str) -> list[str]:
        return [batch.batch_id for batch in catalog.select(status, search)]

    assert select(None, "ALPHA") == ["Alphabet", "alpha"]
    assert select(BatchStatus.STOPPED, "") == ["beta", "alpha"]
    assert select(BatchStatus.STOPPED, "alpha") == ["alpha"]


def test_first_unused_name_is_suggested() -> None:
    catalog = Catalog()
    assert catalog.suggest_name() == "batch-1"
    catalog = catalog_of(*[(f"batch-{n}", BatchStatus.STOPPED) for n in (2, 1, 4)])
    assert catalog.suggest_name() == "batch-3"
    run = Run(1, "random", BatchStatus.RUNNING, START, first_seq=1)
    catalog.upsert(Batch(4, "batch-3", run))
    assert catalog.suggest_name() == "batch-5"
