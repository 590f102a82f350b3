"""Plans as data: what would be done, step by step, before anything is."""

from __future__ import annotations

import json
from typing import Any, Dict, List, Union

from ._isle import processes as _calls
from .errors import Error
from .spec import Command, Spec, spec_of

__all__ = ["Plan", "compile", "explain", "validate"]


class Plan:
    """An immutable list of steps, made by `isle.compile` and carried out by `isle.spawn`; equal plans are equal bytes.

    A plan can be pickled, hashed, and kept as `bytes(plan)`; the bytes of another version of isle are refused.
    """

    __slots__ = ("_bytes",)

    def __init__(self, data: bytes) -> None:
        """OSError (and ValueError): `data` is no plan."""
        self._bytes = bytes(data)
        _calls.verify(self._bytes)

    @property
    def steps(self) -> List[Dict[str, Any]]:
        """Dicts with "index", "actor", "op", "args", "from" and, where they apply, "pass_over" and "skip"."""
        steps: List[Dict[str, Any]] = json.loads(self.to_json())["steps"]
        return steps

    def to_json(self) -> str:
        """The steps as ``isle run --explain=json`` has them."""
        return _calls.to_json(self._bytes)

    def __str__(self) -> str:
        return _calls.to_text(self._bytes)

    def __repr__(self) -> str:
        return f"<Plan of {len(self)} steps>"

    def __len__(self) -> int:
        return len(self.steps)

    def __bytes__(self) -> bytes:
        return self._bytes

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Plan) and self._bytes == other._bytes

    def __hash__(self) -> int:
        return hash(self._bytes)

    def __reduce__(self) -> Any:
        return Plan, (self._bytes,)


def compile(what: Union[Spec, Command], **wishes: Any) -> Plan:
    """The plan for a Spec, or for a command with members of Spec and ProcessWish by name, on this machine.

    isle.Error: the first of `validate`'s complaints, or what this machine cannot do.
    """
    return Plan(_calls.compile(spec_of(what, wishes)))


def explain(what: Union[Spec, Command], **wishes: Any) -> List[Dict[str, Any]]:
    """The steps of that plan, as `Plan.steps`."""
    return compile(what, **wishes).steps


def validate(what: Union[Spec, Command], **wishes: Any) -> List[Error]:
    """All that is wrong with a Spec in itself, without a look at the machine."""
    return _calls.validate(spec_of(what, wishes))
