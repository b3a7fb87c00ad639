from pathlib import Path

import pytest

from diffattr import artifacts
from diffattr.report import cost


@pytest.fixture
def chain(tmp_path, monkeypatch, write_provenance):
    """Two jobs of one rule -> one job with two outputs -> the root; and a leftover."""

    monkeypatch.chdir(tmp_path)

    def made(name, content, rule, started, **values):
        path = f"results/chain/{name}"
        artifacts.write_text(path, content)
        write_provenance(path, rule, started, **values)
        return path

    first = made("a", "1", "subsets", "2026-01-01T10:00", seconds=2.5, peak_memory_mb=50)
    second = made("b", "22", "subsets", "2026-01-01T10:01", seconds=4.0)
    both = {"inputs": [first, second], "seconds": 8.0, "peak_memory_mb": 900}
    model = made("model", "333", "train_block", "2026-01-01T10:02", **both)
    made("model-log", "4444", "train_block", "2026-01-01T10:02", **both)
    made("leftover", "55555", "train_block", "2025-01-01T10:02", inputs=[first], seconds=99.0)
    root = made("root", "666666", "scores", "2026-01-01T10:03", inputs=[model], commit="def")
    return cost.lineage(cost.read_records("results/chain"), [root])


def test_costs_count_jobs_and_all_their_outputs(chain):
    stages = {row.stage: row for row in cost.costs(chain).stages}
    assert stages["train_block"] == cost.StageCost(
        stage="train_block",
        jobs=1,
        artifacts=2,
        seconds=8.0,
        longest_s=8.0,
        peak_memory_mb=900,
        bytes=3 + 4,
    )


def test_jobs_of_one_rule_are_one_stage(chain):
    stages = {row.stage: row for row in cost.costs(chain).stages}
    assert stages["subsets"].jobs == 2
    assert stages["subsets"].seconds == 2.5 + 4.0
    assert stages["subsets"].longest_s == 4.0
    assert stages["subsets"].peak_memory_mb == 100


def test_stages_stand_in_the_order_of_the_data_and_add_up(chain):
    costs = cost.costs(chain)
    assert [row.stage for row in costs.stages] == ["subsets", "train_block", "scores"]
    assert costs.total.jobs == 4
    assert costs.total.seconds == 2.5 + 4.0 + 8.0 + 1.0
    assert costs.total.bytes == 1 + 2 + 3 + 4 + 6


def test_what_the_report_does_not_descend_from_is_not_counted(chain):
    assert "results/chain/leftover" not in chain
    assert "results/chain/model-log" in chain


def test_an_artifact_whose_input_has_changed_is_stale(chain, write_provenance):
    assert cost.origin(chain, []).stale == []
    artifacts.write_text("results/chain/model", "other")
    write_provenance("results/chain/model", "train_block", "2026-01-02T00:00", inputs=[])
    records = cost.lineage(cost.read_records("results/chain"), ["results/chain/root"])
    assert cost.origin(records, []).stale == ["results/chain/root"]


def test_roots_without_provenance_are_named(chain):
    found = cost.origin(chain, ["results/chain/root", "results/chain/copied-by-hand"])
    assert found.unknown == ["results/chain/copied-by-hand"]


@pytest.mark.usefixtures("chain")
def test_a_sidecar_whose_artifact_is_gone_is_not_read():
    Path("results/chain/model-log").unlink()
    assert "results/chain/model-log" not in cost.read_records("results/chain")


def test_commits_are_counted_by_job(chain):
    assert cost.origin(chain, []).commits == [
        cost.Tally(value="abc", jobs=3),
        cost.Tally(value="def", jobs=1),
    ]
