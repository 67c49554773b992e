"""Keeps a large package out of memory until something really uses it.

MLflow's server imports pandas for annotations and for checks of what only its clients pass: 47 MB of
memory that most homes never need. Importers get a module that stands by. It hands out placeholders
where a class is only named (in the body of a module or of a class) or asked about with isinstance;
anything else loads the package, which then takes over everywhere.
"""

import importlib
import importlib.util
import inspect
import logging
import sys
import types
from collections.abc import Collection
from typing import Any

_logger = logging.getLogger(__name__)


def defer(package: str, classes: Collection[str]) -> None:
    """Let the package's next imports get a module that stands by.

    `classes` are the names that may be asked about with isinstance without loading the package:
    while it is not loaded, nothing can be an instance of them.
    """
    if package not in sys.modules:
        sys.modules[package] = _StandBy(package, frozenset(classes))


class _Placeholder(type):
    """The type of the classes that stand for the package's own."""

    def __instancecheck__(cls, instance: object) -> bool:
        stand_by = cls._stand_by()
        return stand_by.is_loaded and isinstance(instance, stand_by.real(cls.__name__))

    def __subclasscheck__(cls, subclass: type) -> bool:
        stand_by = cls._stand_by()
        return stand_by.is_loaded and issubclass(subclass, stand_by.real(cls.__name__))

    def __call__(cls, *args: Any, **kwargs: Any) -> Any:
        return cls._stand_by().real(cls.__name__)(*args, **kwargs)

    def __getattr__(cls, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return getattr(cls._stand_by().real(cls.__name__), name)

    def _stand_by(cls) -> "_StandBy":
        found: _StandBy = cls.__dict__["stand_by"]
        return found


class _StandBy(types.ModuleType):
    """The module object that importers hold in the package's place."""

    def __init__(self, name: str, classes: frozenset[str]) -> None:
        super().__init__(name)
        self._classes = classes
        self._placeholders: dict[str, _Placeholder] = {}
        self.__spec__ = importlib.util.find_spec(name)

    @property
    def is_loaded(self) -> bool:
        """Whether the package itself is in memory."""
        return sys.modules.get(self.__name__) is not self

    def real(self, name: str) -> Any:
        """The package's own object of that name."""
        if not self.is_loaded:
            _logger.debug("Loading %s for its %s.", self.__name__, name)
            del sys.modules[self.__name__]
        return getattr(importlib.import_module(self.__name__), name)

    def __getattr__(self, name: str) -> Any:
        # Asked for by the import of a submodule, which needs the package itself.
        if name.startswith("__") and name != "__path__":
            raise AttributeError(name)
        if not self.is_loaded and (name in self._classes or _asked_by_a_body()):
            return self._placeholders.setdefault(
                name, _Placeholder(name, (), {"stand_by": self, "__module__": self.__name__})
            )
        return self.real(name)


def _asked_by_a_body() -> bool:
    """Tell whether the attribute is asked for in the body of a module or of a class."""
    frame = inspect.currentframe()
    asking = frame and frame.f_back and frame.f_back.f_back
    return asking is not None and not asking.f_code.co_flags & inspect.CO_OPTIMIZED
