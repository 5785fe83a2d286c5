"""Estimates that are kept while more are made, in a file that the same request goes on from, and no other."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from vae.checkpoint import weights_digest
from vae.disk import sha256_of, write_atomically

SAVE_EVERY_SECONDS = 10.0


class PartialEstimates:
    """`numbers` [kinds, images] in float64, and which images have theirs; without a path, in memory alone.

    The file is safetensors: `numbers`, `done` [images], and the request in its metadata, under a digest of all of
    it. Raises ValueError that names the file where it is damaged or belongs to another request.
    """

    def __init__(self, path: Path | None, request: Mapping[str, str], num_images: int, num_kinds: int) -> None:
        self._path = path
        self._request = dict(request)
        self.numbers = torch.full((num_kinds, num_images), torch.nan, dtype=torch.float64)
        self._done = torch.zeros(num_images, dtype=torch.bool)
        self._saved_at = time.monotonic()
        self._changed = False
        if path is not None and path.exists():
            self._read(path)

    def has(self, images: slice) -> bool:
        """Whether all of these images have their estimates."""
        return bool(self._done[images].all())

    def put(self, images: slice, numbers: Tensor) -> None:
        """Takes in the numbers [kinds, len(images)], and saves where the last time was SAVE_EVERY_SECONDS ago."""
        self.numbers[:, images] = numbers
        self._done[images] = True
        self._changed = True
        if time.monotonic() - self._saved_at > SAVE_EVERY_SECONDS:
            self.save()

    def save(self) -> None:
        """Writes the file, where there is one and something new for it."""
        if self._path is None or not self._changed:
            return
        tensors = {"numbers": self.numbers, "done": self._done}
        request = json.dumps(self._request, sort_keys=True)
        write_atomically(self._path, save(tensors, {"request": request, "sha256": _digest(tensors, request)}))
        self._saved_at, self._changed = time.monotonic(), False

    def _read(self, path: Path) -> None:
        remedy = "Give another file, or remove it to begin anew."
        try:
            with safe_open(path, framework="pt") as file:
                metadata = file.metadata() or {}
                tensors: dict[str, Tensor] = {name: file.get_tensor(name).clone() for name in file.keys()}  # noqa: SIM118
        except (OSError, SafetensorError) as error:
            raise ValueError(f"{path} cannot be read as partial estimates: {error}. {remedy}") from error
        request = metadata.get("request", "")
        if metadata.get("sha256") != _digest(tensors, request) or set(tensors) != {"numbers", "done"}:
            raise ValueError(f"{path} is damaged, or holds something other than partial estimates. {remedy}")
        others = json.loads(request)
        differing = [
            f"{name} is {others.get(name)} there and {value} here"
            for name, value in self._request.items()
            if others.get(name) != value
        ]
        if differing:
            raise ValueError(f"{path} holds the estimates of another request: {'; '.join(differing)}. {remedy}")
        self.numbers, self._done = tensors["numbers"], tensors["done"]


def _digest(tensors: Mapping[str, Tensor], request: str) -> str:
    return sha256_of((weights_digest(tensors) + request).encode())
