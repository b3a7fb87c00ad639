"""Files are fetched from a server of this test, never from another."""

import hashlib
import io
import tarfile
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

import pytest
from data_sets import load, refusal, section
from stand_ins import write_cifar10

from diffattr.data import DATA_SOURCES, cifar10
from diffattr.data.fetch import download, fetch
from diffattr.data.source import DataSet, Download

UNPACKS = pytest.mark.skipif(
    not hasattr(tarfile, "data_filter"), reason="unpacking safely takes Python 3.11.4"
)


class Server:
    """Serves the files of a folder and records the requests."""

    def __init__(self, folder):
        self.folder, self.requests = folder, []
        requests = self.requests

        class Handler(SimpleHTTPRequestHandler):
            def log_message(self, format, *arguments):
                requests.append(self.path)

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Handler, directory=folder))
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def offers(self, name, content, md5=None):
        (self.folder / name).write_bytes(content)
        port = self.server.server_address[1]
        md5 = hashlib.md5(content).hexdigest() if md5 is None else md5
        return Download(f"http://127.0.0.1:{port}/{name}", md5)

    def stop(self):
        self.server.shutdown()
        self.server.server_close()


@pytest.fixture
def server(tmp_path):
    (tmp_path / "served").mkdir()
    server = Server(tmp_path / "served")
    yield server
    server.stop()


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "data"


def archive(**members):
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w:gz") as packed:
        for name, content in members.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            packed.addfile(member, io.BytesIO(content))
    return file.getvalue()


def test_files_are_put_into_the_folder(server, folder):
    download([server.offers("a.gz", b"one"), server.offers("b.gz", b"two")], folder)
    assert (folder / "a.gz").read_bytes() == b"one"
    assert (folder / "b.gz").read_bytes() == b"two"


def test_a_file_that_is_there_is_not_fetched_again(server, folder):
    wanted = [server.offers("a.gz", b"one")]
    download(wanted, folder)
    server.stop()
    download(wanted, folder)
    assert server.requests == ["/a.gz"]


def test_a_damaged_file_is_fetched_again(server, folder):
    wanted = [server.offers("a.gz", b"one")]
    folder.mkdir()
    (folder / "a.gz").write_bytes(b"on")
    download(wanted, folder)
    assert (folder / "a.gz").read_bytes() == b"one"


def test_another_file_than_the_published_one_is_refused_and_not_kept(server, folder):
    text = refusal(download, [server.offers("a.gz", b"one", md5="0" * 32)], folder)
    assert "/a.gz: cannot be downloaded (" in text
    assert "MD5" in text
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize("gone", ["file", "server"])
def test_what_cannot_be_reached_says_what_to_put_where(server, folder, gone):
    wanted = server.offers("a.gz", b"one")
    if gone == "server":
        server.stop()
    else:
        (server.folder / "a.gz").unlink()
    text = refusal(download, [wanted], folder)
    assert (
        f"download a.gz (MD5 {wanted.md5}) on another machine, put it into {folder} and run" in text
    )


@UNPACKS
def test_an_archive_is_unpacked_where_it_lies(server, folder):
    packed = archive(**{"set/1.bin": b"one", "set/2.bin": b"two"})
    download([server.offers("set.tar.gz", packed)], folder)
    assert (folder / "set" / "1.bin").read_bytes() == b"one"
    assert (folder / "set" / "2.bin").read_bytes() == b"two"


@UNPACKS
@pytest.mark.parametrize("name", ["../outside.bin", "/tmp/outside.bin", "set/../../outside.bin"])
def test_an_archive_that_leads_out_of_the_folder_writes_nothing_there(server, folder, name):
    wanted = [server.offers("set.tar.gz", archive(**{name: b"one"}))]
    if name.startswith("/"):
        # The filter takes the leading slash away.
        download(wanted, folder)
        assert (folder / "tmp" / "outside.bin").exists()
    else:
        assert "cannot be unpacked" in refusal(download, wanted, folder)
    assert not (folder.parent / "outside.bin").exists()


@UNPACKS
@pytest.mark.parametrize("content", [b"", b"no archive", archive(a=b"x" * 10**5)[:-40]])
def test_an_archive_that_is_none_is_refused(server, folder, content):
    text = refusal(download, [server.offers("set.tar.gz", content)], folder)
    assert "set.tar.gz: cannot be unpacked" in text


def test_a_python_that_cannot_unpack_safely_says_so(server, folder, monkeypatch):
    monkeypatch.delattr("tarfile.data_filter", raising=False)
    text = refusal(download, [server.offers("set.tar.gz", archive(a=b"one"))], folder)
    assert "unpacking it safely needs Python 3.11.4 or later" in text
    assert [path.name for path in folder.iterdir()] == ["set.tar.gz"]


# --- by the config ----------------------------------------------------------------------------


@UNPACKS
def test_what_was_fetched_is_what_the_data_set_reads(server, folder, tmp_path, monkeypatch):
    write_cifar10(tmp_path, seed=0)
    members = {f"cifar-10-batches-bin/{p.name}": p.read_bytes() for p in tmp_path.glob("*.bin")}
    offered = server.offers("cifar-10-binary.tar.gz", archive(**members))
    monkeypatch.setitem(DATA_SOURCES, "cifar10", DataSet(cifar10.load, (offered,)))
    assert fetch(section("cifar10", folder)) == f"{folder}: holds cifar-10-binary.tar.gz"
    assert len(load("cifar10", folder).labels) == 400


def test_no_folder_to_put_files_into_is_named():
    assert "data.folder is missing" in refusal(fetch, section("cifar10"))


def test_digits_need_no_fetching():
    assert fetch(section("digits")) == "digits: 1797 images are available"


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("celeba", "list_eval_partition.txt img_align_celeba data.folder"),
        ("artbench", "ArtBench-10.csv artbench-10-imagefolder data.folder"),
        ("images", "yours data.folder"),
    ],
)
def test_what_cannot_be_fetched_says_what_to_get_and_where_to_put_it(source, words):
    text = refusal(fetch, section(source))
    assert text.startswith(f"data.source {source}: ")
    assert all(word in text for word in words.split())


@pytest.mark.parametrize("source", ["cifar10", "fashion-mnist"])
def test_the_published_addresses_are_encrypted_and_have_checksums(source):
    downloads = DATA_SOURCES[source].downloads
    assert downloads
    for wanted in downloads:
        assert wanted.url.startswith("https://")
        assert len(bytes.fromhex(wanted.md5)) == 16
    assert len({wanted.md5 for wanted in downloads}) == len(downloads)
