"""Commands on the pages, as far as they can be read without being run."""

import re

import pytest
from running import REPOSITORY

PAGES = [*REPOSITORY.glob("*.md"), *REPOSITORY.glob("docs/*.md")]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_no_target_follows_configfile_which_would_read_it_as_a_file(page):
    code = re.findall(r"```\w*\n(.*?)```|`([^`\n]+)`", page.read_text(encoding="utf-8"), re.DOTALL)
    lines = [line for block, inline in code for line in (block or inline).splitlines()]
    after = [re.search(r"--configfile(?:=| )\S+ +([^-#\s]\S*)", line) for line in lines]
    assert [found[0] for found in after if found] == []
