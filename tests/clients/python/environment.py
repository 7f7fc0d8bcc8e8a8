"""What servers under test are started with."""

import os


def environment():
    """The environment less what would configure the server, which has as many threads as the tests are run with."""
    others = {name: value for name, value in os.environ.items() if not name.startswith("ROOMWIRE_")}
    threads = os.environ.get("ROOMWIRE_TEST_THREADS")
    return others | ({"ROOMWIRE_THREADS": threads} if threads else {})
