"""Renders the templates of the report, and escapes every text that is put into them."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

from gan_infer.text.escaping import plain

if TYPE_CHECKING:
    import jinja2
    from markupsafe import Markup


def render(name: str, **values: Any) -> Markup:
    """Return a template of this folder, filled with values.

    Raises:
        jinja2.UndefinedError: the template asks for a value that is not given.
    """
    return trust(_environment().get_template(name).render(values))


def trust(text: str) -> Markup:
    """Return a text that is HTML already, for a template to insert as it is."""
    from markupsafe import Markup

    return Markup(text)


@functools.cache
def _environment() -> jinja2.Environment:
    import jinja2
    from markupsafe import Markup

    def show(value: Any) -> Any:
        """Escape control and invisible characters, which HTML escaping lets through."""
        return plain(value) if isinstance(value, str) and not isinstance(value, Markup) else value

    return jinja2.Environment(
        loader=jinja2.PackageLoader(__package__, ""),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        finalize=show,
        trim_blocks=True,
        lstrip_blocks=True,
    )
