"""What Prometheus and Alertmanager have in common: a configuration file and an HTTP API."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import requests

from tests.servers.process import Server


class HttpServer(Server):
    """A server that is asked over HTTP and can be told to read its configuration again.

    Args:
        config: its path, used where it stands, or its text, kept in the server's folder.
        options: more arguments for the program.
    """

    def __init__(self, config: str | Path, *options: str) -> None:
        super().__init__()
        self.options = options
        self.data = self.folder / "data"
        self.url = f"http://127.0.0.1:{self.port}"
        self.config = config if isinstance(config, Path) else self.folder / f"{self.name}.yml"
        if isinstance(config, str):
            self.config.write_text(config)
        self._session = requests.Session()
        self._session.trust_env = False

    def answers(self) -> bool:
        """Whether it says that it is ready."""
        try:
            return self._session.get(f"{self.url}/-/ready", timeout=5).ok
        except requests.RequestException:
            return False

    def get(self, path: str, **parameters: str) -> Any:
        """Get a path of the API; the JSON of the answer."""
        return self._json("GET", path, params=parameters)

    def post(self, path: str, body: object) -> Any:
        """Post JSON to a path of the API; the JSON of the answer, if it has any."""
        return self._json("POST", path, json=body)

    def reload(self) -> None:
        """Have the configuration read again."""
        self._json("POST", "/-/reload")

    def close(self) -> None:
        """Stop it and remove its folder."""
        self._session.close()
        super().close()

    def _json(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, str] | None = None,
        json: object = None,
    ) -> Any:
        answer = self._session.request(
            method, f"{self.url}{path}", params=params, json=json, timeout=10
        )
        if not answer.ok:
            raise self.error(f"answered {answer.status_code} to {path}: {answer.text.strip()}")
        return answer.json() if answer.content.strip().startswith((b"{", b"[")) else None
