"""Each error has its exit code and says what, what is allowed and the mend in one line."""

from dataclasses import dataclass

import pytest

from edgenet.errors import EdgenetError, GateFailed, InputError, MissingError


@dataclass(frozen=True)
class Case:
    id: str
    error: EdgenetError
    text: str
    exit_code: int


CASES = [
    Case("what only", GateFailed("agreement 0.91 is under 0.95"), "agreement 0.91 is under 0.95", 1),
    Case(
        "all four parts",
        InputError("unknown variant 'b9'", allowed="b0, b1", mend="did you mean b0?"),
        "unknown variant 'b9'; allowed: b0, b1; did you mean b0?",
        2,
    ),
    Case("without allowed", MissingError("no adb", mend="install it"), "no adb; install it", 3),
    Case("without mend", InputError("--side cannot be '1'", allowed="32"), "--side cannot be '1'; allowed: 32", 2),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_text_and_exit_code(case: Case) -> None:
    assert str(case.error) == case.text
    assert case.error.exit_code == case.exit_code


def test_the_parts_stay_readable() -> None:
    error = InputError("what", allowed="allowed", mend="mend")
    assert (error.what, error.allowed, error.mend) == ("what", "allowed", "mend")


def test_every_error_is_one_that_the_command_line_catches() -> None:
    assert {kind.exit_code for kind in EdgenetError.__subclasses__()} == {1, 2, 3}
