"""A stand-in for the Telegram API, which checks what it gets and shows it."""

import os
import sys
import threading
import time
from html.parser import HTMLParser

from flask import Flask, Response, jsonify, request
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from service.settings import Address, parse_address
from service.web import serve

LONGEST = 4096
"""Characters of a message that Telegram takes, after its entities were read (Bot API)."""

_TAGS = {"b", "strong", "i", "em", "u", "s", "code", "pre", "a"}


class _Send(BaseModel):
    """The body of sendMessage as Alertmanager 0.25 to 0.34 sends it."""

    model_config = ConfigDict(extra="forbid")

    chat_id: str = Field(pattern=r"^-?\d+$")
    text: str = Field(min_length=1)
    parse_mode: str = "HTML"
    disable_web_page_preview: bool | str = False
    disable_notification: bool | str = False
    message_thread_id: int | str | None = None


class _Reader(HTMLParser):
    """Checks that tags are those that Telegram knows, and closed."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.text = ""
        self.mistake = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        del attrs
        if tag not in _TAGS:
            self.mistake = f'Unsupported start tag "{tag}"'
        self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if not self.open or self.open.pop() != tag:
            self.mistake = f'Unexpected end tag "{tag}"'

    def handle_data(self, data: str) -> None:
        self.text += data


def read_html(text: str) -> str:
    """Give the plain text of a message.

    Raises:
        ValueError: Telegram would refuse it.
    """
    reader = _Reader()
    reader.feed(text)
    reader.close()
    if reader.mistake or reader.open:
        raise ValueError(reader.mistake or f'Can\'t find end tag of "{reader.open[-1]}"')
    plain = reader.text.strip()
    if not plain:
        raise ValueError("message text is empty")
    if len(plain) > LONGEST:
        raise ValueError("message is too long")
    return plain


class Telegram:
    """Received messages, oldest first, as plain text with the unix time of arrival."""

    def __init__(self, token: str) -> None:
        self.app = Flask(__name__)
        self._token = token
        self._lock = threading.Lock()
        self._messages: list[dict[str, object]] = []
        self._refused: list[str] = []
        self.app.add_url_rule("/bot<token>/<method>", "bot", self._bot, methods=["POST"])
        self.app.add_url_rule("/messages", "messages", self._show)

    def serve(self, address: Address) -> None:
        """Serve until SIGTERM or SIGINT."""
        serve(self.app, address, threads=4, started=lambda url: print(url, flush=True))  # noqa: T201

    def _bot(self, token: str, method: str) -> Response:
        if token != self._token:
            return self._refuse(401, "Unauthorized")
        if method != "sendMessage":
            return self._refuse(404, "Not Found")
        try:
            send = _Send.model_validate_json(request.get_data())
            plain = read_html(send.text) if send.parse_mode == "HTML" else send.text
        except ValidationError as error:
            return self._refuse(400, f"Bad Request: {error.errors()[0]['loc']}")
        except ValueError as error:
            return self._refuse(400, f"Bad Request: can't parse entities: {error}")
        with self._lock:
            now = time.time()
            self._messages.append({"time": now, "chat_id": send.chat_id, "text": plain})
            number = len(self._messages)
        chat = {"id": int(send.chat_id), "type": "supergroup"}
        result = {"message_id": number, "date": int(now), "chat": chat, "text": plain}
        return jsonify(ok=True, result=result)

    def _refuse(self, code: int, description: str) -> Response:
        with self._lock:
            self._refused.append(description)
        response = jsonify(ok=False, error_code=code, description=description)
        response.status_code = code
        return response

    def _show(self) -> Response:
        with self._lock:
            return jsonify(messages=self._messages, refused=self._refused)


def main() -> None:
    """Serve at the URL of the first argument, for the bot of TELEGRAM_BOT_TOKEN."""
    address = parse_address(sys.argv[1].removeprefix("http://"))
    Telegram(os.environ["TELEGRAM_BOT_TOKEN"]).serve(address)


if __name__ == "__main__":
    main()
