"""Whether the images that validate, the last of the training images, are of the same kind as the others."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

_CHANCE = 1e-4
"""A class that is missing by chance with a probability below this is missing by the order of the images."""
_LEAST_SHARE, _LEAST_RATIO = 0.05, 12.0
"""Of the variance of images, and of what chance gives: a squared distance of mean images above both is no chance."""
_IMAGES_PER_BLOCK = 4_096
_MOST_NAMED = 10


def order_notes(
    images: NDArray[np.uint8],
    labels: NDArray[np.uint8] | None,
    num_validation: int,
    test_labels: NDArray[np.uint8] | None,
) -> Iterator[str]:
    """What a person should know of the order of training images [n, pixels]; nothing where it looks drawn by chance."""
    if labels is None:
        if _mean_differs(images, num_validation):
            yield (
                f"the last {num_validation:,} training images, which validate, differ from the others by more than"
                " chance. Where they are sorted or follow one another in time, shuffle them with a seed"
            )
        return
    remedy = "shuffle images and labels together with a seed"
    trained, held_out = labels[:-num_validation], labels[-num_validation:]
    if len(np.unique(labels)) > 1 and (_rises(labels) or _rises(labels[::-1])):
        yield (
            f"the training images are sorted by label, so that the last {num_validation:,}, which validate, are of"
            f" {_classes(np.unique(held_out))} alone; {remedy}"
        )
    elif (others := _missing(held_out, trained)) is not None:
        yield (
            f"the last {num_validation:,} training images, which validate, have other classes than those that are"
            f" trained on: {others}; {remedy}"
        )
    if test_labels is not None and len(new := _only_in(test_labels, labels)):
        yield f"the test images have {_classes(new)}, of which no training image is"


def _rises(labels: NDArray[np.uint8]) -> bool:
    return bool((labels[1:] >= labels[:-1]).all())


def _missing(held_out: NDArray[np.uint8], trained: NDArray[np.uint8]) -> str | None:
    """The classes that are in one part alone, and not by chance; None where there are none."""
    only_held_out, only_trained = _only_in(held_out, trained), _only_in(trained, held_out)
    texts = [f"{_classes(only_held_out)} is not trained on"] if len(only_held_out) else []
    texts += [f"{_classes(only_trained)} does not validate"] if len(only_trained) else []
    return ", ".join(texts) or None


def _only_in(part: NDArray[np.uint8], other: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Classes of one part that the other lacks, where that is no chance: their images would all fall into the part."""
    classes, counts = np.unique(part, return_counts=True)
    is_no_chance = (len(part) / (len(part) + len(other))) ** counts < _CHANCE
    return np.setdiff1d(classes[is_no_chance], other)


def _classes(classes: NDArray[np.uint8]) -> str:
    names = ", ".join(map(str, classes[:_MOST_NAMED].tolist())) + (", ..." if len(classes) > _MOST_NAMED else "")
    return f"class {names}" if len(classes) == 1 else f"classes {names}"


def _mean_differs(images: NDArray[np.uint8], num_validation: int) -> bool:
    """Whether the mean images of both parts are further apart than those of two random parts."""
    trained, held_out = images[:-num_validation], images[-num_validation:]
    means = [part.mean(axis=0, dtype=np.float64) for part in (trained, held_out, images)]
    blocks = (images[start : start + _IMAGES_PER_BLOCK] for start in range(0, len(images), _IMAGES_PER_BLOCK))
    squares = sum(float(np.square(block, dtype=np.float32).sum(dtype=np.float64)) for block in blocks)
    variance = squares / len(images) - float(means[2] @ means[2])
    distance = float(np.square(means[0] - means[1]).sum())
    by_chance = variance * (1 / len(trained) + 1 / len(held_out))
    return distance > max(_LEAST_SHARE * variance, _LEAST_RATIO * by_chance)
