"""Data sets from outside: loaded, read and held against their contract."""

import numpy as np
import pytest
from changed_config import assert_refused, benchmark, config
from data_sets import section

from diffattr.data import data_source
from diffattr.data.source import Source, UnreadableError
from diffattr.plugins import PluginError


def test_a_config_cannot_hand_a_text_to_what_a_module_imports(write):
    write("from os import system")
    changes = {"data.source": "my_module:system", "data.folder": "touch started"}
    words = "comes from posix; expected a function that its module defines"
    assert_refused(benchmark, changes, key="data.source", words=words)


def test_a_data_set_of_a_file_is_loaded_from_its_folder(write):
    write(
        """
        import numpy as np
        from diffattr.data.in_memory import in_memory
        def load(data):
            images = np.full((3, 1, 2, 2), float(data.folder), np.float32)
            return in_memory(images, np.zeros(3, np.int64), ("all",))
        """
    )
    found = data_source("my_module:load")(section("my_module:load", "0.25"))
    assert isinstance(found, Source)
    assert found.read(np.array([1]), 2).mean() == 0.25


@pytest.mark.parametrize(
    ("answered", "words"),
    [
        ("open(data.folder)", "raised FileNotFoundError: .*nowhere"),
        ("None", "returned an object of type NoneType, expected a Source"),
    ],
)
def test_a_wrong_data_set_is_one_sentence(write, answered, words):
    write(f"def load(data): return {answered}")
    with pytest.raises(PluginError, match=f"^plug-in my_module:load: .*{words}"):
        data_source("my_module:load")(section("my_module:load", "nowhere"))


MADE_UP = """
import numpy as np
from diffattr.data.in_memory import in_memory
from diffattr.data.source import Source, UnreadableError
def load(data):
    images = np.full((4, 1, 8, 8), 0.25, np.float32)
    found = in_memory(images, np.zeros(4, np.int64), ("a",))
    def read(positions, resolution):
        {read}
    return Source(found.labels, ("a",), found.train_pool, found.val_pool, read)
"""


def read_images(write, read):
    write(MADE_UP.format(read=read))
    return data_source("my_module:load")(config().data).read(np.array([1, 3]), 8)


def test_images_are_read_when_they_are_asked_for(write):
    found = read_images(write, "return found.read(positions, resolution)")
    assert np.array_equal(found, np.full((2, 1, 8, 8), 0.25, np.float32))


@pytest.mark.parametrize(
    ("read", "words"),
    [
        ("1 / 0", "raised ZeroDivisionError"),
        ("return None", "returned an object of type NoneType"),
        (
            "return found.read(positions[:1], 8)",
            r"shape \(1, 1, 8, 8\), expected \(2, 1, 8, 8\)",
        ),
        (
            "return found.read(positions, 4)",
            r"shape \(2, 1, 4, 4\), expected \(2, 1, 8, 8\)",
        ),
        ("return found.read(positions, 8)[:, 0]", r"returned shape \(2, 8, 8\)"),
        ("return found.read(positions, 8) * np.nan", "returned NaN or infinity"),
        ("return found.read(positions, 8) * 255", "returned pixel values from 63.75 to 63.75"),
    ],
)
def test_wrong_images_are_one_sentence(write, read, words):
    with pytest.raises(PluginError, match=f"^plug-in my_module:load: .*{words}"):
        read_images(write, read)


def test_an_image_that_cannot_be_used_may_be_left_out_as_in_our_data_sets(write):
    with pytest.raises(UnreadableError, match="torn"):
        read_images(write, "raise UnreadableError(dict([(3, 'torn')]))")
