"""The site file, and how a mistake in it is reported."""

import pytest
import yaml
from changed_config import REPOSITORY, assert_refused

from diffattr.cluster.site import Place, Site, placement, read_site
from diffattr.plan.work import RULES, kind_of


def test_jobs_through_the_network_ask_for_gpus_and_their_partition_and_no_others():
    site = Site(account="lab", network=Place(partition="gpu", constraint="a100"))
    everything = {rule: placement(rule, 1, site) for rule in RULES}
    for rule in ("train_full", "train_block", "losses", "features", "generate", "redraw"):
        assert everything[rule] == {
            "gpu": 1,
            "slurm_account": "lab",
            "slurm_partition": "gpu",
            "constraint": "a100",
        }
    for rule in ("data", "kernel", "predictions", "scores", "build_report", "removals"):
        assert everything[rule] == {"slurm_account": "lab"}
    assert [kind_of(rule) for rule in ("kernel", "scores", "lds_of_method")] == ["matrix"] * 3


def test_without_a_site_file_only_gpus_are_requested(tmp_path):
    assert read_site(tmp_path / "site.yaml") == Site()
    (tmp_path / "site.yaml").write_text("# account: lab\n")
    assert read_site(tmp_path / "site.yaml") == Site()
    assert placement("features", 0, Site()) == {"gpu": 0}
    assert placement("kernel", 1, Site()) == {}


def test_the_example_of_a_site_file_has_every_key():
    path = REPOSITORY / "profiles" / "slurm" / "site.example.yaml"
    raw, site = yaml.safe_load(path.read_text()), read_site(path)
    assert set(raw) == set(Site.__struct_fields__)
    assert set(raw["network"]) == set(Place.__struct_fields__)
    assert site.network.max_minutes == 1440
    assert site.modules == ("cuda/12.4",)


@pytest.mark.parametrize(
    ("text", "key", "words"),
    [
        ("acount: lab", "acount", "unknown key did you mean 'account'?"),
        ("network: {partitions: gpu}", "network.partitions", "unknown key 'partition'"),
        ("network: {max_minutes: 0}", "network.max_minutes", "found 0 at least 1"),
        ("modules: cuda", "modules", 'found "cuda" expected array'),
        ('modules: ["cuda; rm -r x"]', "modules.0", "cuda;"),
        ("modules: ['$(true)']", "modules.0", "$(true)"),
        ("- lab", "(top level)", "expected object"),
        ("account: {", "not YAML", "expected"),
    ],
)
def test_a_mistake_in_the_site_file_is_one_sentence(tmp_path, text, key, words):
    path = tmp_path / "site.yaml"
    path.write_text(text)
    assert_refused(read_site, path, key=f"{path}: {key}", words=words)
