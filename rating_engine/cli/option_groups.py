"""Options that several commands share, said once: in the signature of the function that reads them into one value."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from inspect import Parameter
from typing import Any, Final

from rating_engine.cli.common import reported_errors

# The parameter of a command whose place the options take, and which gets what they were read as.
OPTIONS: Final = "options"


def with_options(read: Callable[..., object]) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Give a command the options of `read` in place of its parameter `options`; it is called with what `read` returns.

    What `read` refuses (InvalidRequest) is said as any error of a command.
    """
    own = inspect.signature(read, eval_str=True).parameters

    def decorate(command: Callable[..., None]) -> Callable[..., None]:
        @functools.wraps(command)
        def taken(**given: Any) -> None:
            with reported_errors():
                options = read(**{name: given.pop(name) for name in own})
            command(options=options, **given)

        signature = inspect.signature(command, eval_str=True)
        parameters = [
            one.replace(kind=Parameter.KEYWORD_ONLY)
            for parameter in signature.parameters.values()
            for one in (own.values() if parameter.name == OPTIONS else [parameter])
        ]
        # typer reads both.
        taken.__signature__ = signature.replace(parameters=parameters)  # type: ignore[attr-defined]
        taken.__annotations__ = {one.name: one.annotation for one in parameters}
        return taken

    return decorate
