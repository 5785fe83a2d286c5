"""What happens to files and databases: bits flip, ends are lost, blocks are zeroed, numbers are edited, files are
taken for one another."""

from __future__ import annotations

import random
import re
from collections.abc import Callable

import pytest


def flip_a_bit(content: bytes, choose: random.Random) -> bytes:
    """The content with one bit the other way round."""
    place = choose.randrange(len(content))
    return content[:place] + bytes([content[place] ^ 1 << choose.randrange(8)]) + content[place + 1 :]


def cut(content: bytes, choose: random.Random) -> bytes:
    """The content without its end."""
    return content[: choose.randrange(len(content))]


def zero_a_block(content: bytes, choose: random.Random) -> bytes:
    """The content with up to 512 bytes of zeros in it, as a lost sector leaves them."""
    place = choose.randrange(len(content))
    length = min(choose.randint(1, 512), len(content) - place)
    return content[:place] + bytes(length) + content[place + length :]


def lose_a_piece(content: bytes, choose: random.Random) -> bytes:
    """The content without some bytes in its middle."""
    place = choose.randrange(len(content))
    return content[:place] + content[place + choose.randint(1, 16) :]


def repeat_a_piece(content: bytes, choose: random.Random) -> bytes:
    """The content with some of its bytes twice."""
    place = choose.randrange(len(content))
    return content[: place + choose.randint(1, 64)] + content[place:]


def edit_a_number(content: bytes, choose: random.Random) -> bytes:
    """The content with a digit of a number in its text replaced by another: still JSON, where it was."""
    digits = list(re.finditer(rb"(?<=[ :,\[.\d-])[0-9]", content)) or list(re.finditer(rb"[0-9]", content))
    if not digits:
        return flip_a_bit(content, choose)
    digit = choose.choice(digits)
    other = choose.choice([number for number in b"123456789" if number != digit[0][0]])
    return content[: digit.start()] + bytes([other]) + content[digit.end() :]


DAMAGES: tuple[Callable[[bytes, random.Random], bytes], ...] = (
    flip_a_bit,
    flip_a_bit,
    cut,
    zero_a_block,
    lose_a_piece,
    repeat_a_piece,
    edit_a_number,
    edit_a_number,
)


def damaged(content: bytes, choose: random.Random) -> tuple[str, bytes]:
    """Another content, and by what."""
    while True:
        damage = choose.choice(DAMAGES)
        changed = damage(content, choose)
        if changed != content:
            return damage.__name__, changed


# How often each kind of damage is drawn: a few, and many.
FEW_AND_MANY = pytest.mark.parametrize(("number", "seed"), [(12, 1), pytest.param(150, 2, marks=pytest.mark.slow)])
