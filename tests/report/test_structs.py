"""The published schema of report.json, and what it says of a report that was gathered."""

import json
from pathlib import Path

import msgspec
import pytest
from jsonschema import Draft202012Validator
from jsonschema.exceptions import ValidationError

from diffattr.artifacts import ArtifactError, write_json
from diffattr.report import structs
from diffattr.schema import REPORT, report_schema_text

FILE = Path(__file__).parents[2] / "schemas" / REPORT


@pytest.fixture(scope="module")
def schema():
    return json.loads(FILE.read_text(encoding="utf-8"))


def test_the_schema_file_is_current():
    assert FILE.read_text(encoding="utf-8") == report_schema_text(), "run make schema"


def test_every_field_is_described(schema):
    Draft202012Validator.check_schema(schema)
    objects = {name: found for name, found in schema["$defs"].items() if "properties" in found}
    assert {"Report", "LdsTable", "LdsRow", "CounterfactualResult", "SweepTable"} <= set(objects)
    for name, found in objects.items():
        assert found["additionalProperties"] is False, name
        for key, field in found["properties"].items():
            assert len(field["description"]) > 4, f"{name}.{key}"


def test_a_report_has_exactly_the_keys_of_the_schema(numbers, schema):
    validator = Draft202012Validator(schema)
    validator.validate(numbers)
    numbers["lds"][0]["methods"][0]["ldss"] = numbers["lds"][0]["methods"][0].pop("lds")
    with pytest.raises(ValidationError, match="ldss"):
        validator.validate(numbers)


def test_published_numbers_beside_ours_are_in_the_schema(make_folder, schema, as_json):
    folder = make_folder(published="cifar2")
    report = folder.gather()
    assert report.published is not None
    Draft202012Validator(schema).validate(json.loads(as_json(report)))


def test_a_report_is_read_as_it_was_written(report, tmp_path):
    write_json(tmp_path / "report.json", msgspec.to_builtins(report))
    assert structs.read(tmp_path / "report.json") == report
    (tmp_path / "report.json").write_text('{"name": "x"}')
    with pytest.raises(ArtifactError, match=r"report.json: is not a readable report"):
        structs.read(tmp_path / "report.json")


def test_methods_are_ranked_by_lds_and_planted_ones_as_val(numbers, report):
    for split, of in (("val", "val"), ("gen", "gen"), ("planted", "val")):
        (lds,) = (table for table in numbers["lds"] if table["split"] == of)
        ranked = sorted(lds["methods"], key=lambda row: -row["lds"])
        assert report.ranking(split) == [row["name"] for row in ranked]
