"""The operations of torch that some code calls, and which of them ask a device for a number."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from torch.utils._python_dispatch import TorchDispatchMode

ASKING_THE_DEVICE = {
    "aten::_local_scalar_dense",
    "aten::is_nonzero",
    "aten::equal",
    "aten::nonzero",
    "aten::masked_select",
}


class Seen(TorchDispatchMode):
    """Notes every operation that reaches a device."""

    def __init__(self, ignored: Callable[[str], bool] = lambda name: False) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.names: list[str] = []
        self._ignored = ignored

    def __torch_dispatch__(
        self, func: Any, types: Any, args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        name = func._schema.name
        self.names.append(name)
        return None if self._ignored(name) else func(*args, **(kwargs or {}))
