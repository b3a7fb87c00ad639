"""The plan's jobs are those of Snakemake, for every config that ships."""

import json
from collections import Counter
from functools import partial
from pathlib import Path

import networkx
import numpy as np
import pytest
from changed_config import CONFIGS, OWN_MODELS, REPOSITORY, raw, schema
from dags import SIZE, jobs_here, printed_jobs
from stand_ins import write_ddpm

from diffattr.benchmark import Benchmark
from diffattr.benchmark.completion import read_config
from diffattr.plan.dag import longest_chain
from diffattr.plan.work import work_of


def described(name):
    """Return a config, after making the files that one of a trained model is completed from."""
    tree = raw(name=name)
    if name in OWN_MODELS:
        # A folder in the place of a name on the Hub, which would need a network connection.
        if not tree["model"]["pretrained"].startswith("data/"):
            tree["model"]["pretrained"] = "data/pipeline"
        write_ddpm(Path(tree["model"]["pretrained"]), seed=0)
        for section in (tree["data"], tree.get("queries", {})):
            if "folder" in section:
                Path(section["folder"]).mkdir(parents=True)
                for number in range(130):
                    Path(section["folder"], f"{number}.png").touch()
    return tree


@pytest.mark.workflow
@pytest.mark.parametrize("name", [*CONFIGS, *OWN_MODELS])
def test_the_plan_s_jobs_and_its_longest_chain_are_snakemake_s(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    tree = described(name)
    # Fails where a rule has no work function.
    jobs = jobs_here(tree, partial(work_of, Benchmark(read_config(tree, schema(), name)), SIZE))
    printed = printed_jobs("config.json", tmp_path)
    assert Counter(job.rule for job in jobs) == Counter(job.rule for job in printed)
    assert {frozenset(job.outputs): (job.rule, dict(job.wildcards)) for job in jobs} == {
        job.outputs: (job.rule, job.wildcards) for job in printed
    }
    assert all(job.is_left for job in jobs)

    # The longest path, by networkx on the inputs and outputs that Snakemake prints.
    outputs = sorted((job.outputs for job in printed), key=min)
    seconds = dict(
        zip(outputs, np.random.default_rng(0).exponential(size=len(outputs)), strict=True)
    )
    made_by = {path: job.outputs for job in printed for path in job.outputs}
    graph = networkx.DiGraph()
    for job in printed:
        graph.add_edge("start", job.outputs, weight=seconds[job.outputs])
        for path in job.inputs & made_by.keys():
            graph.add_edge(made_by[path], job.outputs, weight=seconds[job.outputs])
    chain = longest_chain(jobs, lambda job: seconds[frozenset(job.outputs)])
    expected = networkx.dag_longest_path(graph)
    assert ["start", *(frozenset(job.outputs) for job in chain)] == expected


@pytest.mark.workflow
def test_the_plan_waits_for_what_snakemake_s_own_graph_says(tmp_path, monkeypatch):
    """Rules at both ends of every edge, from `snakemake --d3dag`, whose nodes have no wildcards."""
    import subprocess
    import sys

    monkeypatch.chdir(tmp_path)
    name = "configs/every-method.yaml"
    files = ["--snakefile", REPOSITORY / "Snakefile", "--configfile", REPOSITORY / name]
    done = subprocess.run(
        [sys.executable, "-m", "snakemake", "--d3dag", *files],
        capture_output=True,
        text=True,
        check=True,
    )
    drawn = json.loads(done.stdout)
    rules = {node["id"]: node["value"]["rule"] for node in drawn["nodes"]}
    edges = Counter((rules[edge["u"]], rules[edge["v"]]) for edge in drawn["edges"])
    jobs = jobs_here(raw(name=name))
    rule_of = {job.name: job.rule for job in jobs}
    found = Counter((rule_of[earlier], job.rule) for job in jobs for earlier in job.waits_for)
    assert found == Counter({edge: n for edge, n in edges.items() if "all" not in edge})


def test_a_config_that_is_refused_ends_in_snakemake_s_sentence(tmp_path, monkeypatch, capfd):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as stop:
        jobs_here(raw({"measurement.losses.draws": 0}))
    assert stop.value.code == 1
    assert "measurement.losses.draws: found 0" in capfd.readouterr().err
