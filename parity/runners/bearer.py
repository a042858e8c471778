"""A bearer token from the environment: the run file names the variable and never holds the token."""

from __future__ import annotations

import os
import re

from parity.errors import UsageError

VARIABLE_PATTERN = r"^[A-Za-z_][A-Za-z0-9_]*$"
_TOKEN = re.compile(r"[A-Za-z0-9._~+/-]+=*")
"""RFC 6750, 2.1: what an Authorization header may carry as a bearer token."""


def bearer_token(variable: str | None) -> str:
    """The token in an environment variable; empty where none is named.

    Raises UsageError, which never shows it, when there is none that a header can carry.
    """
    if variable is None:
        return ""
    token = os.environ.get(variable, "")
    if not _TOKEN.fullmatch(token):
        raise UsageError(
            "it has characters that a bearer token cannot have" if token else "it is not set, or empty",
            where=f"environment variable {variable}",
            expected="a bearer token, since the run file names this variable in `token_env`",
            remedy="set it to the token alone, without `Bearer`, spaces or a line feed at its end",
        )
    return token
