"""Runs a real Prometheus as a child process: what tests ask about is what an operator would see."""

import json
import shutil
import subprocess
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any
from urllib.error import HTTPError
from urllib.parse import urlencode, urlsplit
from urllib.request import urlopen

Config = Mapping[str, Any]
"""A prometheus.yml."""

LOOK_S = 0.05
"""How often wait_for() asks."""


@dataclass(frozen=True)
class Sample:
    """One value of the answer to a query."""

    labels: Mapping[str, str]
    """With its name, where it has one, as `__name__`."""
    value: float


@dataclass(frozen=True)
class Alert:
    """An alert that is pending or firing."""

    name: str
    state: str
    labels: Mapping[str, str]
    annotations: Mapping[str, str]


def scrape_config(
    *targets: str, rules: Sequence[Path] = (), interval_s: float = 0.5, **options: object
) -> Config:
    """A configuration that scrapes targets and evaluates rules so often.

    A target is `host:port` or the URL of a server's page. Options are those of a scrape_config.
    """
    interval = f"{round(interval_s * 1000)}ms"
    hosts = [urlsplit(target).netloc or target for target in targets]
    return {
        "global": {
            "scrape_interval": interval,
            "scrape_timeout": interval,
            "evaluation_interval": interval,
        },
        "rule_files": [str(path.resolve()) for path in rules],
        "scrape_configs": [
            {"job_name": "flatdense", "static_configs": [{"targets": hosts}], **options}
        ],
    }


class PrometheusProcess:
    """A Prometheus on a free port of the loopback, with its data in an empty folder.

    Used as a context manager: entering waits until it answers queries, leaving ends it. Exemplars
    are kept. Raises RuntimeError, with its log, where it refuses the configuration or ends by
    itself, and where Prometheus is not installed.
    """

    def __init__(self, config: Config, folder: Path) -> None:
        """Writes `folder`/prometheus.yml and `folder`/data."""
        self._file = folder / "prometheus.yml"
        self._write(config)
        self._log: list[str] = []
        self._changed = threading.Condition()
        self._ended = False
        self._process = subprocess.Popen(
            [
                find("prometheus"),
                f"--config.file={self._file}",
                f"--storage.tsdb.path={folder / 'data'}",
                "--web.listen-address=127.0.0.1:0",
                "--web.enable-lifecycle",
                "--enable-feature=exemplar-storage",
                "--log.format=json",
            ],
            stderr=subprocess.PIPE,
            text=True,
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def __enter__(self) -> "PrometheusProcess":  # noqa: PYI034 -- typing.Self is newer than 3.10
        try:
            self._wait_for_log("Server is ready to receive web requests.")
        except BaseException:
            self._end()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._end()

    @property
    def url(self) -> str:
        """Where it listens, ending in a slash."""
        return f"http://{self._wait_for_log('Listening on')['address']}/"

    def query(self, promql: str) -> list[Sample]:
        """What an instant query gives now; a scalar as one sample without labels.

        Raises ValueError where Prometheus refuses the query.
        """
        data = self._get("api/v1/query", query=promql)
        if data["resultType"] == "scalar":
            return [Sample({}, float(data["result"][1]))]
        return [Sample(each["metric"], float(each["value"][1])) for each in data["result"]]

    def value(self, promql: str) -> float:
        """The one value that a query gives. Raises ValueError where it gives none, or several."""
        (sample,) = self.query(promql)
        return sample.value

    def wait_for(
        self,
        promql: str,
        until: Callable[[list[Sample]], bool] = bool,
        timeout_s: float = 30.0,
    ) -> list[Sample]:
        """Asks until the answer is as wanted, or just there. Raises TimeoutError."""
        end_s = time.monotonic() + timeout_s
        while True:
            samples = self.query(promql)
            if until(samples):
                return samples
            if time.monotonic() > end_s:
                raise TimeoutError(f"{promql} still gives {samples} after {timeout_s} s")
            time.sleep(LOOK_S)

    def exemplars(self, promql: str) -> list[Sample]:
        """The exemplars of the series in a query, of the last hour, oldest first."""
        now_s = time.time()  # noqa: TID251 -- a date, not a duration
        series = self._get("api/v1/query_exemplars", query=promql, start=now_s - 3600, end=now_s)
        return [
            Sample(each["labels"], float(each["value"]))
            for one in series
            for each in one["exemplars"]
        ]

    def alerts(self) -> list[Alert]:
        """Those that are pending or firing now."""
        return [
            Alert(each["labels"]["alertname"], each["state"], each["labels"], each["annotations"])
            for each in self._get("api/v1/alerts")["alerts"]
        ]

    def wait_for_alert(self, name: str, state: str = "firing", timeout_s: float = 30.0) -> Alert:
        """The alert of that name, once it is in that state. Raises TimeoutError."""
        end_s = time.monotonic() + timeout_s
        while True:
            alerts = self.alerts()
            for alert in alerts:
                if (alert.name, alert.state) == (name, state):
                    return alert
            if time.monotonic() > end_s:
                raise TimeoutError(f"no alert {name} is {state} after {timeout_s} s: {alerts}")
            time.sleep(LOOK_S)

    def reload(self, config: Config | None = None) -> None:
        """Reads its rules again, and takes a new configuration.

        Raises ValueError where Prometheus refuses them; then the old ones stay in force.
        """
        if config is not None:
            self._write(config)
        self._ask("-/reload", data=b"")

    def _write(self, config: Config) -> None:
        # YAML has JSON in it.
        self._file.write_text(json.dumps(config, indent=2))

    def _get(self, path: str, **parameters: object) -> Any:  # noqa: ANN401 -- JSON
        answer = self._ask(path, data=urlencode(parameters).encode() if parameters else None)
        return json.loads(answer)["data"]

    def _ask(self, path: str, data: bytes | None) -> bytes:
        try:
            with urlopen(self.url + path, data, timeout=30) as response:
                answer: bytes = response.read()
        except HTTPError as error:
            raise ValueError(f"{path} refuses {data!r}: {error.read().decode()}") from error
        return answer

    def _wait_for_log(self, message: str, timeout_s: float = 60.0) -> dict[str, Any]:
        """The first line of its log with that message."""

        def find_line() -> dict[str, Any] | None:
            for line in self._log:
                if message in line:
                    parsed: dict[str, Any] = json.loads(line)
                    return parsed
            return None

        with self._changed:
            self._changed.wait_for(lambda: find_line() or self._ended, timeout_s)
            if (found := find_line()) is None:
                raise RuntimeError(f"Prometheus does not say {message!r}:\n" + "".join(self._log))
        return found

    def _read(self) -> None:
        assert self._process.stderr  # it was asked for
        for line in self._process.stderr:
            with self._changed:
                self._log.append(line)
                self._changed.notify_all()
        with self._changed:
            self._ended = True
            self._changed.notify_all()

    def _end(self) -> None:
        # Nobody wants its data: it need not write them down.
        self._process.kill()
        self._process.wait()
        self._reader.join()
        if self._process.stderr:
            self._process.stderr.close()


def promtool(*arguments: str | Path, stdin: str = "") -> str:
    """What promtool says, on both its outputs. Raises ValueError with that where it fails."""
    done = subprocess.run(
        [find("promtool"), *arguments],
        input=stdin,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=60,
        check=False,
    )
    if done.returncode:
        raise ValueError(f"promtool {' '.join(map(str, arguments))}: {done.stdout}")
    return done.stdout


def find(command: str) -> str:
    """The path of one of Prometheus's commands. Raises RuntimeError where it is not installed."""
    path = shutil.which(command)
    if path is None:
        raise RuntimeError(
            f"{command} is not installed: the tests ask a real Prometheus. On Debian and Ubuntu: "
            "apt-get install --no-install-recommends prometheus."
        )
    return path
