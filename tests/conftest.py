"""What all tests share: an order in which two workers finish together."""

import signal


def pytest_configure(config):
    # Shells start what runs in the background without Ctrl-C, which some tests are about.
    if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    config.addinivalue_line("markers", "seconds(n): about how long it takes, where that is long; "
                                       "tests that take longest start first")


def pytest_collection_modifyitems(items):
    def seconds(item):
        mark = item.get_closest_marker("seconds")
        return mark.args[0] if mark else 0

    items.sort(key=seconds, reverse=True)
