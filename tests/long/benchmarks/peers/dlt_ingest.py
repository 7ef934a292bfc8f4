"""dlt at the benchmark *ingest*: its rest_api source, written to files; base URL, number of records → a figure."""

from __future__ import annotations

import os
import sys
import tempfile
from importlib import import_module
from typing import Any

from tests.long.benchmarks.measure import NOT_INSTALLED, Figure, Stopwatch, hand_over


def ingest(url: str, records: int, folder: str) -> Figure:
    """Run the whole pipeline: extract, normalize, load."""
    dlt: Any = import_module("dlt")
    rest_api: Any = import_module("dlt.sources.rest_api")
    login = {"type": "http_basic", "username": "acme+PUB", "password": "PRIV"}
    headers = {"clientId": "any", "pagination-type": "forward-only"}
    contacts = {
        "name": "contacts",
        "primary_key": "id",
        "endpoint": {
            "path": "company/contacts",
            "params": {"pageSize": 1000, "conditions": "lastUpdated > [2000-01-01T00:00:00Z]"},
            "paginator": "header_link",
            "data_selector": "$",
        },
    }
    with Stopwatch() as watch:
        source = rest_api.rest_api_source(
            {"client": {"base_url": url, "auth": login, "headers": headers}, "resources": [contacts]}
        )
        pipeline = dlt.pipeline(
            "benchmark",
            pipelines_dir=f"{folder}/pipelines",
            destination=dlt.destinations.filesystem(bucket_url=f"file://{folder}/out"),
            dataset_name="benchmark",
        )
        pipeline.run(source, loader_file_format="jsonl")
    loaded = pipeline.last_trace.last_normalize_info.row_counts["contacts"]
    if loaded != records:
        raise SystemExit(f"dlt loaded {loaded} of {records}")
    return watch.figure("dlt", loaded)


if __name__ == "__main__":
    try:
        import_module("dlt")
    except ImportError:
        sys.exit(NOT_INSTALLED)
    os.environ["RUNTIME__DLTHUB_TELEMETRY"] = "false"
    os.environ["RUNTIME__LOG_LEVEL"] = "ERROR"
    with tempfile.TemporaryDirectory() as folder:
        hand_over(ingest(sys.argv[1], int(sys.argv[2]), folder))
