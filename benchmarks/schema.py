"""The JSON schema of a result; `python -m benchmarks.schema > benchmarks/benchmark.schema.json` writes it anew."""

import json

from benchmarks.result import BenchmarkRecord

DIALECT = "https://json-schema.org/draft/2020-12/schema"  # the one that pydantic writes


def schema_text() -> str:
    """Return the schema as the file beside this one holds it."""
    return json.dumps({"$schema": DIALECT, **BenchmarkRecord.model_json_schema()}, indent=2) + "\n"


if __name__ == "__main__":
    print(schema_text(), end="")
