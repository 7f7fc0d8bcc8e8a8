"""What servers under test are started with."""

import os

# For what one thread of the server has told another; with a single thread there is nothing to wait for.
BETWEEN_THREADS_S = 0.0 if os.environ.get("ROOMWIRE_TEST_THREADS") == "1" else 0.1


def environment():
    """The environment less what would configure the server, which has as many threads as the tests are run with."""
    others = {name: value for name, value in os.environ.items() if not name.startswith("ROOMWIRE_")}
    threads = os.environ.get("ROOMWIRE_TEST_THREADS")
    return others | ({"ROOMWIRE_THREADS": threads} if threads else {})
