"""The fast path: the gateway's own API, told what was written to its database.

A gateway that keeps channels in memory reads the database again only every SYNC_FREQUENCY seconds
(New API model/channel_cache.go); a call of its API makes the node that answers it follow at once.
Since v1.0.0-rc.16 that is POST /api/channel/:id/status, before it PUT /api/channel/
(router/api-router.go).
"""

from typing import Any

import requests
from pydantic import SecretStr

_TIMEOUT = (1.0, 2.0)
"""Seconds to connect and to wait: the database was written already, and Alertmanager waits."""


class FastPathError(Exception):
    """The gateway did not take it; the text is one line without secrets."""


class FastPath:
    """Calls the gateway's API as an administrator.

    Args:
        url: the gateway's base URL.
        token: the administrator's access token.
        user_id: the administrator's users.id, which New API until v1.0.0-rc.21 asks for.
    """

    def __init__(self, url: str, token: SecretStr, user_id: int) -> None:
        self._url = url.rstrip("/")
        self._session = requests.Session()
        self._session.trust_env = False
        self._session.headers["Authorization"] = f"Bearer {token.get_secret_value()}"
        self._session.headers["New-Api-User"] = str(user_id)

    def tell(self, channel_id: int, status: int) -> None:
        """Tell the gateway the status of a channel, 1 or 2, that its database holds already.

        Raises:
            FastPathError: it does not answer, or does not say that it succeeded.
        """
        newer = self._call("POST", f"/api/channel/{channel_id}/status", {"status": status})
        if newer.status_code in {404, 405}:
            older = self._call("PUT", "/api/channel/", {"id": channel_id, "status": status})
            _require_success(older)
            return
        _require_success(newer)

    def close(self) -> None:
        """Close the connections that are kept."""
        self._session.close()

    def _call(self, method: str, path: str, body: dict[str, int]) -> requests.Response:
        try:
            return self._session.request(
                method, f"{self._url}{path}", json=body, timeout=_TIMEOUT, allow_redirects=False
            )
        except requests.RequestException as error:  # its text may hold the URL, and that a password
            raise FastPathError(f"{method} {path}: {type(error).__name__}") from None


def _require_success(answer: requests.Response) -> None:
    """Read the body: the gateway answers many errors with status 200 (common/gin.go)."""
    where = f"{answer.request.method} {answer.request.path_url}: status {answer.status_code}"
    if not answer.ok:
        raise FastPathError(where)
    try:
        body: Any = answer.json()
    except ValueError:
        raise FastPathError(f"{where}, and no JSON") from None
    if not isinstance(body, dict) or body.get("success") is not True:
        said = body.get("message") if isinstance(body, dict) else None
        raise FastPathError(
            f"{where}, {' '.join(str(said or 'success is not true').split())[:200]}"
        )
