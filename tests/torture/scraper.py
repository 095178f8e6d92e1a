"""Scrapes without a break, and holds each page to the one before it."""

import threading

import requests

OWN = "newapi_exporter_"
"""What the exporter counts about itself begins anew with each process."""


class Scraper:
    """A thread that scrapes until it is told to stop; the exporter may come and go.

    Args:
        url: of the page.
    """

    def __init__(self, url: str) -> None:
        self.faults: list[str] = []
        """Each decrease and each series that vanished."""
        self.pages = 0
        self.outages = 0
        """How often the page was not to be had after it had been."""
        self.beginnings: set[float] = set()
        """All values of newapi_counting_since_timestamp_seconds."""
        self.counted_until = 0.0
        """Of the page before, unix seconds."""
        self._url = url
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="scraper")

    def __enter__(self) -> "Scraper":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        before: dict[str, float] = {}
        up = False
        while not self._stop.wait(0.2):
            try:
                answer = requests.get(self._url, timeout=10, headers={"Accept-Encoding": ""})
            except requests.RequestException:
                answer = None
            if answer is None or answer.status_code == 503:
                self.outages += up
                up = False
                continue
            answer.raise_for_status()
            up, self.pages = True, self.pages + 1
            before = self._compare(before, answer.text)

    def _compare(self, before: dict[str, float], page: str) -> dict[str, float]:
        counters: dict[str, float] = {}
        grows = False
        for line in page.splitlines():
            if line.startswith("# TYPE "):
                _, _, name, kind = line.split(" ")
                grows = kind in {"counter", "histogram"} and not name.startswith(OWN)
                continue
            if line.startswith("#"):
                continue
            series, _, number = line.rpartition(" ")
            if grows:
                counters[series] = float(number)
            elif series == "newapi_counting_since_timestamp_seconds":
                self.beginnings.add(float(number))
            elif series == "newapi_counted_until_timestamp_seconds":
                self.counted_until = float(number)
        for series, value in before.items():
            if counters.get(series, -1) < value:
                self.faults.append(f"{series}: {value}, then {counters.get(series)}")
        return counters
