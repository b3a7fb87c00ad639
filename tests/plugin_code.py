"""A method of a file, for tests of plug-ins."""

import json

from diffattr import plugins


def forget():
    """Forget what was loaded, as a new process would."""
    plugins.load.cache_clear()
    plugins.identity.cache_clear()


SUM = "def scores(train, queries): return queries @ train.T\n"
MINE = {"method": "my_module:scores", "features": "t4/loss"}


def with_method(**values):
    return {"methods.mine": {**MINE, **values}}


def method_params(made, name):
    return json.loads(made.params.method(name))["method"]
