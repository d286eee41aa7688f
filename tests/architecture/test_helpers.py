"""What tests lean on fails as plainly as they do."""

import pytest
from accord_builders import changed


def test_a_failed_assert_outside_of_a_test_file_says_what_it_found() -> None:
    with pytest.raises(AssertionError, match="'no such line' in '"):
        changed("no such line", "another")
