"""Cache of numba's machine code, in a folder of the project.

Numba's own ways out would be wrong here: in `__pycache__` it notices no change of the constants
that a function takes from other files, and the error of a full disk ends the program.
"""

import os
from contextlib import suppress

from numba.core.caching import CompileResultCacheImpl, FunctionCache, UserProvidedCacheLocator


__all__ = ["keep"]


def keep(dispatcher, folder):
    """Keep the machine code of a compiled function in a folder, and take it from there."""

    class Locator(UserProvidedCacheLocator):
        @classmethod
        def from_function(cls, function, path):
            return cls(function, path)

        def get_cache_path(self):
            return os.path.join(folder, os.path.basename(self._cache_path))

        def ensure_cache_path(self):
            with suppress(OSError):
                os.makedirs(self.get_cache_path(), exist_ok=True)

    class Locations(CompileResultCacheImpl):
        _locator_classes = [Locator]

    class Cache(FunctionCache):
        _impl_class = Locations

        def load_overload(self, *args):
            with suppress(OSError):
                return super().load_overload(*args)

        def save_overload(self, *args):
            with suppress(OSError):
                super().save_overload(*args)

    dispatcher._cache = Cache(dispatcher.py_func)
    return dispatcher
