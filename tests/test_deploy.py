"""What stands in deploy/: units of systemd, the sample for nginx."""

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from breaker.settings import BreakerSettings
from exporter.settings import ExporterSettings
from service.binaries import MORE_FOLDERS
from service.settings import Settings, variables
from tests.compose import ROOT

UNITS: dict[str, type[Settings]] = {"exporter": ExporterSettings, "breaker": BreakerSettings}
NGINX = ROOT / "deploy" / "nginx" / "newapi-monitor.conf"


def unit(name: str) -> Path:
    return ROOT / "deploy" / "systemd" / f"newapi-{name}.service"


@pytest.mark.parametrize("name", UNITS)
def test_a_unit_sets_what_its_program_reads(name: str) -> None:
    text = unit(name).read_text()
    given = set(re.findall(r"^Environment=(\w+)=", text, re.MULTILINE))
    assert given <= set(variables(UNITS[name]))
    assert f"/bin/newapi-{name}\n" in text
    state = re.search(r"^Environment=\w+_STATE=/var/lib/(.*)$", text, re.MULTILINE)
    assert state is not None
    assert f"\nStateDirectory={state[1]}\n" in text


@pytest.mark.parametrize("name", UNITS)
def test_systemd_takes_the_unit_and_finds_it_hardened(name: str, tmp_path: Path) -> None:
    analyze = shutil.which("systemd-analyze")
    if analyze is None:
        pytest.skip("no systemd-analyze here")
    here = tmp_path / unit(name).name
    text = re.sub(r"ExecStart=\S+", "ExecStart=/bin/true", unit(name).read_text())
    here.write_text(text)
    verified = subprocess.run(
        [analyze, "verify", "--man=no", here], capture_output=True, text=True, check=False
    )
    assert (verified.returncode, verified.stderr) == (0, "")
    exposed = subprocess.run(
        [analyze, "security", "--offline=yes", "--threshold=15", here],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    if "unrecognized option" in exposed.stderr or "nknown" in exposed.stderr:
        pytest.skip("systemd before 250 does not rate units that are not loaded")
    assert exposed.returncode == 0, exposed.stdout[-500:]


def test_nginx_takes_the_sample(tmp_path: Path) -> None:
    nginx = shutil.which("nginx", path=os.pathsep.join((os.environ["PATH"], *MORE_FOLDERS)))
    openssl = shutil.which("openssl")
    if nginx is None or openssl is None:
        pytest.skip("no nginx or openssl here")
    subprocess.run(
        [openssl, "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1", "-subj", "/CN=x",
         "-keyout", tmp_path / "newapi-monitor.key", "-out", tmp_path / "newapi-monitor.crt"],
        check=True, capture_output=True,
    )  # fmt: skip
    (tmp_path / "site.conf").write_text(NGINX.read_text().replace("/etc/nginx/", f"{tmp_path}/"))
    (tmp_path / "nginx.conf").write_text(
        f"pid {tmp_path}/pid; events {{}} http {{ access_log off; include {tmp_path}/site.conf; }}"
    )
    arguments = ["-t", "-e", "stderr", "-p", str(tmp_path), "-c", str(tmp_path / "nginx.conf")]
    done = subprocess.run([nginx, *arguments], capture_output=True, text=True, check=False)
    assert "syntax is ok" in done.stderr, done.stderr


def test_the_sample_leads_to_the_port_of_the_compose_file() -> None:
    text = NGINX.read_text()
    assert set(re.findall(r"proxy_pass (\S+);", text)) == {"http://127.0.0.1:3001"}
    assert text.count('proxy_set_header Authorization "";') == text.count("proxy_pass")
