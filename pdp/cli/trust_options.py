"""`--trust DOMAIN=FILE`, as several commands have it."""

from pathlib import Path

import click

__all__ = ["by_domain"]


def by_domain(given: tuple[str, ...]) -> dict[str, Path]:
    """The file of each trust domain.

    Raises:
        BadParameter: One is not written so, or a domain stands there twice.
    """
    found: dict[str, Path] = {}
    for domain, file in map(_pair, given):
        if domain in found:
            # Not merged and not replaced: either would be a guess about whom to believe.
            message = f"`{domain}` is given twice; put all its roots into one file"
            raise click.BadParameter(message, param_hint="--trust")
        found[domain] = file
    return found


def _pair(text: str) -> tuple[str, Path]:
    domain, equals, file = text.partition("=")
    if not equals or not domain or not file:
        raise click.BadParameter(
            "write DOMAIN=FILE, such as prod.example.org=roots.pem", param_hint="--trust"
        )
    return domain, Path(file)
