"""The suite is dealt out to workers in such a way that servers are not started more often than need be."""

import pytest
from workers import SHARED, unit_of


def test_files_that_ask_for_a_server_of_the_run_are_dealt_out_together(request: pytest.FixtureRequest) -> None:
    """Sees the files of this run; in the whole suite, all."""
    asking = {
        (server, item.nodeid.partition("::")[0])
        for item in request.session.items
        for server in SHARED
        if server in getattr(item, "fixturenames", ())
    }
    alone = {(server, file) for server, file in asking if unit_of(file) != server}
    assert not alone, "name them in SHARED of tests/workers.py"
