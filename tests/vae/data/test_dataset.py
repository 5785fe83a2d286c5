"""Datasets by name, folder and plug-in, and their hashes."""

from __future__ import annotations

import gzip
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from vae.data.dataset import DataError, Dataset, dataset_from_arrays, load_dataset, require_unchanged
from vae.data.idx import FILES, encode_idx

Arrays = tuple[NDArray[np.uint8], NDArray[np.uint8], NDArray[np.uint8], NDArray[np.uint8]]

PLUGIN = """
import numpy as np
from vae.data.dataset import dataset_from_arrays

def images(num, seed):
    return np.random.default_rng(seed).integers(0, 256, (num, 4, 5), dtype=np.uint8)

def pair():
    return images(12, 0), images(3, 1)

def whole():
    return dataset_from_arrays("theirs", images(12, 0), images(3, 1), num_validation=5)

def floats():
    return images(12, 0) / 255, images(3, 1) / 255

def random():
    random = np.random.default_rng()
    both = random.permutation(images(15, 0))
    return both[:12], both[12:]

def listed():
    return [1, 2, 3]

def broken():
    raise RuntimeError("the disk with my images is not mounted")

constant = 3
"""


@pytest.fixture
def arrays() -> Arrays:
    generator = np.random.default_rng(0)

    def images(num: int) -> NDArray[np.uint8]:
        return generator.integers(0, 256, (num, 4, 5), dtype=np.uint8)

    def labels(num: int) -> NDArray[np.uint8]:
        return generator.integers(0, 10, num, dtype=np.uint8)

    return images(12), labels(12), images(3), labels(3)


@pytest.fixture
def load(tmp_path: Path) -> Callable[[str], Dataset]:
    return lambda name: load_dataset(name, tmp_path / "cache", report=lambda line: None)


@pytest.fixture
def plugin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    module = f"images_of_{tmp_path.name.replace('-', '_')}"
    (tmp_path / f"{module}.py").write_text(PLUGIN)
    monkeypatch.syspath_prepend(tmp_path)
    return module


def write_idx(folder: Path, arrays: Arrays, compress: bool = False) -> Path:
    folder.mkdir()
    for name, array in zip(FILES, arrays, strict=True):
        content = encode_idx(array)
        (folder / f"{name}{'.gz' if compress else ''}").write_bytes(gzip.compress(content) if compress else content)
    return folder


def write_npy(folder: Path, arrays: Arrays) -> Path:
    folder.mkdir()
    for name, array in zip(("train_images", "train_labels", "test_images", "test_labels"), arrays, strict=True):
        np.save(folder / f"{name}.npy", array)
    return folder


def test_the_same_data_has_the_same_hash_and_arrays_whatever_its_source(
    tmp_path: Path, arrays: Arrays, load: Callable[[str], Dataset]
) -> None:
    reference = dataset_from_arrays("reference", arrays[0], arrays[2], arrays[1], arrays[3])
    folders = (
        write_idx(tmp_path / "idx", arrays),
        write_idx(tmp_path / "gz", arrays, compress=True),
        write_npy(tmp_path / "npy", arrays),
    )
    for folder in folders:
        dataset = load(str(folder))
        assert dataset.sha256 == reference.sha256, folder
        np.testing.assert_array_equal(dataset.train_images, arrays[0].reshape(12, 20))
        np.testing.assert_array_equal(dataset.test_images, arrays[2].reshape(3, 20))
        assert dataset.train_labels is not None
        np.testing.assert_array_equal(dataset.train_labels, arrays[1])
        assert (dataset.image_shape, dataset.num_pixels) == ((4, 5), 20)


@pytest.mark.parametrize("which", range(4))
def test_one_changed_byte_of_any_array_changes_the_hash(arrays: Arrays, which: int) -> None:
    def sha256() -> str:
        return dataset_from_arrays("mine", arrays[0], arrays[2], arrays[1], arrays[3]).sha256

    before = sha256()
    arrays[which].flat[-1] ^= 1
    assert sha256() != before


def test_images_of_another_shape_with_the_same_bytes_have_another_hash(arrays: Arrays) -> None:
    turned = dataset_from_arrays("mine", arrays[0].reshape(12, 5, 4), arrays[2].reshape(3, 5, 4))
    assert turned.sha256 != dataset_from_arrays("mine", arrays[0], arrays[2]).sha256


def test_the_last_sixth_validates_and_images_are_read_only_views(arrays: Arrays) -> None:
    dataset = dataset_from_arrays("mine", arrays[0], arrays[2])
    assert dataset.num_validation == 2
    for images, source in ((dataset.train_images, arrays[0]), (dataset.test_images, arrays[2])):
        assert not images.flags.writeable
        assert np.shares_memory(images, source)


def test_labels_may_be_left_out(tmp_path: Path, arrays: Arrays, load: Callable[[str], Dataset]) -> None:
    folder = write_idx(tmp_path / "idx", arrays)
    (folder / FILES[1]).unlink()
    (folder / FILES[3]).unlink()
    dataset = load(str(folder))
    assert dataset.train_labels is None
    assert dataset.test_labels is None


def test_a_function_may_return_two_arrays_or_a_dataset(plugin: str, load: Callable[[str], Dataset]) -> None:
    pair, whole = load(f"{plugin}:pair"), load(f"{plugin}:whole")
    assert pair.sha256 == whole.sha256
    assert (pair.num_validation, whole.num_validation) == (2, 5)
    assert whole.name == f"{plugin}:whole"


@pytest.mark.parametrize(
    ("function", "told"),
    [
        ("floats", "float64; they must be uint8"),
        ("random", "is random: called twice, it returned different data"),
        ("listed", "returned list; it must return (train_images, test_images)"),
        ("broken", "RuntimeError: the disk with my images is not mounted"),
        ("constant", "type int; a dataset needs a function"),
        ("pairs", "did you mean pair?"),
    ],
)
def test_a_function_that_gives_no_dataset_is_told_what_is_needed(
    plugin: str, function: str, told: str, load: Callable[[str], Dataset]
) -> None:
    with pytest.raises(DataError) as raised:
        load(f"{plugin}:{function}")
    assert told in str(raised.value)


@pytest.mark.parametrize(
    ("name", "told"), [("mnits", "did you mean mnist?"), ("no/such/folder", "a folder that exists")]
)
def test_an_unknown_dataset_or_a_missing_folder_names_what_is_allowed(
    name: str, told: str, load: Callable[[str], Dataset]
) -> None:
    with pytest.raises(DataError) as raised:
        load(name)
    assert told in str(raised.value)
    assert "fashion-mnist, mnist" in str(raised.value)


def test_a_folder_without_data_is_told_which_files_it_needs(tmp_path: Path, load: Callable[[str], Dataset]) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "empty" / "holiday.jpg").touch()
    with pytest.raises(DataError) as raised:
        load(str(tmp_path / "empty"))
    for told in ("train-images-idx3-ubyte", "train_images.npy", "it has holiday.jpg"):
        assert told in str(raised.value)


@pytest.mark.parametrize("compress", [False, True])
def test_a_truncated_file_of_a_folder_is_refused_by_name(
    tmp_path: Path, arrays: Arrays, compress: bool, load: Callable[[str], Dataset]
) -> None:
    folder = write_idx(tmp_path / "idx", arrays, compress)
    path = folder / f"{FILES[2]}{'.gz' if compress else ''}"
    path.write_bytes(path.read_bytes()[:-9])
    with pytest.raises(DataError) as raised:
        load(str(folder))
    assert FILES[2] in str(raised.value)
    assert "truncated" in str(raised.value)


def test_a_changed_byte_inside_a_compressed_file_is_refused(
    tmp_path: Path, arrays: Arrays, load: Callable[[str], Dataset]
) -> None:
    folder = write_idx(tmp_path / "idx", arrays, compress=True)
    path = folder / f"{FILES[0]}.gz"
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    with pytest.raises(DataError, match="damaged"):
        load(str(folder))


def test_a_truncated_array_file_is_refused_by_name(
    tmp_path: Path, arrays: Arrays, load: Callable[[str], Dataset]
) -> None:
    path = write_npy(tmp_path / "npy", arrays) / "train_images.npy"
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(DataError, match=r"train_images\.npy cannot be read"):
        load(str(path.parent))


def test_an_array_file_that_would_execute_code_is_refused(tmp_path: Path, load: Callable[[str], Dataset]) -> None:
    (tmp_path / "npy").mkdir()
    for name in ("train_images", "test_images"):
        np.save(tmp_path / "npy" / f"{name}.npy", np.array([print, print], dtype=object), allow_pickle=True)
    with pytest.raises(DataError, match="cannot be read"):
        load(str(tmp_path / "npy"))


def test_arrays_that_do_not_fit_are_told_the_rule(arrays: Arrays) -> None:
    train, labels, test, _ = arrays
    faults: list[tuple[str, Callable[[], Dataset]]] = [
        ("must be [n, height, width]", lambda: dataset_from_arrays("mine", train.reshape(12, 20), test)),
        ("they must agree", lambda: dataset_from_arrays("mine", train, test.reshape(3, 5, 4))),
        ("one for each image", lambda: dataset_from_arrays("mine", train, test, labels[:11])),
        ("at least 6 training images", lambda: dataset_from_arrays("mine", train[:5], test)),
        (
            "12 of 12 training images would validate",
            lambda: dataset_from_arrays("mine", train, test, num_validation=12),
        ),
        ("none of them 0", lambda: dataset_from_arrays("mine", train, test[:0])),
    ]
    for told, make in faults:
        with pytest.raises(DataError) as raised:
            make()
        assert told in str(raised.value)


def test_loading_needs_neither_torch_nor_torchvision(tmp_path: Path, arrays: Arrays) -> None:
    folder = write_idx(tmp_path / "idx", arrays)
    code = (
        "import sys; from pathlib import Path; from vae.data.dataset import load_dataset; load_dataset(sys.argv[1],"
        " Path()); print(*sys.modules)"
    )
    finished = subprocess.run([sys.executable, "-c", code, str(folder)], capture_output=True, text=True, check=True)
    assert not {"torch", "torchvision"} & set(finished.stdout.split())


def test_data_that_are_loaded_again_must_be_those_that_were_trained_on(arrays: Arrays) -> None:
    dataset = dataset_from_arrays("mine", arrays[0], arrays[2])
    for sha256 in (dataset.sha256, ""):
        require_unchanged(dataset, sha256, "the model")
    with pytest.raises(DataError, match="mine has changed since the model was trained on it"):
        require_unchanged(dataset, "0" * 64, "the model")
