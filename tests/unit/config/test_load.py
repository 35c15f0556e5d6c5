"""Settings: precedence, unknown keys, references, and never a value in an error."""

import re
import tomllib
from pathlib import Path

import pytest

from gateway.config import references
from gateway.config.faults import ConfigurationInvalid
from gateway.config.lines import line_of, places
from gateway.config.load import Origin, load, samples_directory
from gateway.config.settings import SETTINGS, Environment, Mllp
from gateway.mappers.hl7v2 import charset
from gateway.model.source import Grant, SourceKind
from tests.harness.pki import Pki

MARK = "s3cr3t-mark"

BASE = """\
environment = "test"

[mllp]
port = 2600

[[establishments]]
id = "chu"
name = "CHU"
finess_ej = "990000018"
finess_eg = ["990000026"]

[establishments.authorities]
ipp = ["CHU"]

[[establishments]]
id = "clinic"
name = "Clinic"
finess_ej = "990000042"

[[sources]]
id = "gam"
establishment = "chu"
application = "GAM"
facility = "CHU"
grants = ["state_opposition"]

[[sources]]
id = "sil"
establishment = "chu"
application = "SIL"
facility = "CHU"
charset = "8859/15"

[[connections]]
door = "mllp"
networks = ["127.0.0.0/8", "::1/128"]
sources = ["gam", "sil"]
"""


@pytest.fixture
def write(tmp_path: Path):
    def _write(text: str) -> Path:
        path = tmp_path / "gateway.toml"
        path.write_text(text, encoding="utf-8")
        return path

    return _write


@pytest.fixture
def files(tmp_path: Path, pki: Pki) -> dict[str, str]:
    """The files of [tls], as variables."""
    made = pki.write(tmp_path / "tls")
    return {f"DMP_GATEWAY_TLS_{name.upper()}": str(path) for name, path in made.items()}


def faults(path: Path | None, environ: dict[str, str] | None = None, flags: dict[str, object] | None = None) -> list[str]:
    with pytest.raises(ConfigurationInvalid) as caught:
        load(path, environ or {}, flags or {})
    assert MARK not in str(caught.value)
    assert caught.value.faults
    return [str(fault) for fault in caught.value.faults]


def test_a_file(write) -> None:
    loaded = load(write(BASE), {}, {})
    assert loaded.settings.environment is Environment.TEST
    assert loaded.settings.mllp == Mllp(port=2600)
    assert [source.id for source in loaded.settings.directory.sources] == ["gam", "sil"]
    assert loaded.settings.establishments[0].authorities == {"ipp": ("CHU",)}
    assert not loaded.sample


def test_flag_over_environment_over_file_over_default(write) -> None:
    path, environ = write(BASE), {"DMP_GATEWAY_MLLP_PORT": "2700", "HOME": "/nowhere"}
    by_file, by_environment, by_flag = load(path, {}, {}), load(path, environ, {}), load(path, environ, {"mllp.port": 0})
    assert [each.settings.mllp.port for each in (by_file, by_environment, by_flag)] == [2600, 2700, 0]
    assert [each.origins["mllp.port"] for each in (by_file, by_environment, by_flag)] == [
        Origin.FILE,
        Origin.ENVIRONMENT,
        Origin.FLAG,
    ]
    assert by_flag.origins["mllp.host"] is Origin.DEFAULT
    assert load(path, environ, {"mllp.port": None}).settings.mllp.port == 2700


#: What a variable may say where a number more, or a text twice, is no value.
OTHERS = {
    "log.level": "debug",
    "log.format": "json",
    "mllp.host": "::1",
    "http.host": "::1",
    "mllp.tls_listen": "[::1]:0",
    "http.tls_listen": "127.0.0.1:8443",
    "retention.parked_days": "7",
    "metrics.listen": "[::1]:8080",
}


@pytest.mark.parametrize(
    "row",
    [row for row in SETTINGS if row.default not in {None, ()} and not row.name.startswith("tls.")],
    ids=lambda row: row.name,
)
def test_every_setting_has_its_variable(row, write, files) -> None:
    value = OTHERS.get(row.name) or (str(row.default + 1) if isinstance(row.default, int) else str(row.default * 2))
    loaded = load(write(BASE), {**files, row.variable: value}, {})
    section, _, key = row.name.partition(".")
    assert str(getattr(getattr(loaded.settings, section), key)) == value
    assert loaded.origins[row.name] is Origin.ENVIRONMENT
    assert row.help
    assert row.variable.startswith("DMP_GATEWAY_")


def test_the_networks_of_monitors_have_their_variable(write) -> None:
    variable = "DMP_GATEWAY_METRICS_NETWORKS"
    loaded = load(write(BASE), {variable: "10.1.0.0/16, fd00::/8"}, {})
    assert loaded.settings.metrics.networks == ("10.1.0.0/16", "fd00::/8")
    assert loaded.origins["metrics.networks"] is Origin.ENVIRONMENT
    assert faults(write(BASE), {variable: MARK}) == [
        f"{variable}: not a network: an address, a slash, a length, and no bits set behind it"
    ]


def test_the_files_of_tls_and_a_list_have_their_variables(write, files) -> None:
    environ = files | {"DMP_GATEWAY_TLS_PLAINTEXT_NETWORKS": "10.1.0.0/16, fd00::/8"}
    loaded = load(write(BASE), environ, {})
    rows = {row.name: row for row in SETTINGS if row.name.startswith("tls.")}
    assert {row.variable for row in rows.values()} == set(environ)
    assert loaded.settings.tls.plaintext_networks == ("10.1.0.0/16", "fd00::/8")
    for name, row in rows.items():
        assert loaded.origins[name] is Origin.ENVIRONMENT
        assert row.help
        if name != "tls.plaintext_networks":
            assert getattr(loaded.settings.tls, name.partition(".")[2]) == environ[row.variable]
    assert faults(write(BASE), {"DMP_GATEWAY_TLS_PLAINTEXT_NETWORKS": MARK}) == [
        "DMP_GATEWAY_TLS_PLAINTEXT_NETWORKS: not a network: an address, a slash, a length, and no bits set behind it"
    ]


def test_without_a_file_the_samples_run_as_test_on_loopback() -> None:
    loaded = load(None, {}, {"mllp.port": 0})
    assert loaded.sample
    assert loaded.settings.environment is Environment.TEST
    assert loaded.settings.mllp.host == "127.0.0.1"
    assert loaded.path.parent == samples_directory()
    assert loaded.origins["environment"] is Origin.SAMPLE
    assert faults(None, {"DMP_GATEWAY_ENVIRONMENT": "production"})[0].startswith("DMP_GATEWAY_ENVIRONMENT: the sample")


def test_the_sample_file_shows_the_defaults() -> None:
    text = (samples_directory() / "dmp-gateway.toml").read_text(encoding="utf-8")
    section = text.split("[mllp]")[1].split("\n\n")[0]
    shown = tomllib.loads("\n".join(re.sub(r"^# (?=\w+ = )", "", line) for line in section.splitlines()))
    assert shown == {row.name.removeprefix("mllp."): row.default for row in SETTINGS if row.name.startswith("mllp.")}


def test_the_variable_that_kills_is_no_setting(write) -> None:
    load(write(BASE), {"DMP_GATEWAY_KILL_AT": "door.read:1"}, {})


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("port = 2600", f'prot = "{MARK}"', "line 4: mllp.prot: unknown key; did you mean port?"),
        ("[mllp]", "[mlpp]", "line 3: mlpp: unknown key; did you mean mllp?"),
        ("facility =", "facilty =", "line 24: sources[0].facilty: unknown key; did you mean facility?"),
        ("port = 2600", f'port = "{MARK}"', "line 4: mllp.port: expected `int`"),
        ("port = 2600", "port = 70000", "line 4: mllp.port: expected `int` <= 65535"),
        ("port = 2600", "idle_timeout_seconds = inf", "line 4: mllp.idle_timeout_seconds: expected `float` <= 86400.0"),
        ("port = 2600", "idle_timeout_seconds = nan", "line 4: mllp.idle_timeout_seconds: expected `float` > 0.0"),
        ('environment = "test"', f'environment = "{MARK}"',
         "line 1: environment: not one of the values that it may have: production, test"),
        ('environment = "test"', "", 'environment: missing: a file must say "production" or "test"'),
        (
            '"state_opposition"',
            f'"{MARK}"',
            "line 25: sources[0].grants[0]: not one of the values that it may have: " + ", ".join(Grant),
        ),
        ('application = "GAM"\n', "", "line 20: sources[0]: lacks `application`"),
        ('establishment = "chu"\napplication = "GAM"', f'establishment = "{MARK}"\napplication = "GAM"',
         "line 22: sources[0].establishment: no establishment has this id"),
        ('sources = ["gam", "sil"]', f'sources = ["gam", "{MARK}"]', "line 37: connections[0].sources[1]: no source has this id"),
        ('id = "sil"', 'id = "gam"', "line 28: sources[1].id: sources[0] has the same id"),
        ('id = "sil"', 'id = "S I L"',
         "line 28: sources[1].id: an id is 1 to 64 lower-case letters, digits, dots, hyphens, underscores, not `unknown`"),
        ('"990000042"', '"1990000026"', "line 18: establishments[1].finess_ej: shares a FINESS number with establishments[0]"),
        ('"990000042"', f'"{MARK}"', "line 18: establishments[1].finess_ej: not a FINESS number: nine characters"),
        ('"8859/15"', f'"{MARK}"', "line 32: sources[1].charset: one of ASCII, 8859/1, 8859/15, UNICODE UTF-8"),
        ('application = "SIL"', 'application = "GAM"',
         ("line 37: connections[0].sources: this connection admits two sources of the same application and facility "
         "(MSH-3, MSH-4)")),
        ('"127.0.0.0/8"', '"127.0.0.1/8"',
         "line 36: connections[0].networks[0]: not a network: an address, a slash, a length, and no bits set behind it"),
        ('"127.0.0.0/8"', '"10.0.0.0/8"',
         ("line 36: connections[0].networks[0]: without TLS only networks of the loopback interface and of "
         "tls.plaintext_networks are admitted")),
        ("port = 2600", 'host = "0.0.0.0"',
         ("line 4: mllp.host: without TLS only an address of the loopback interface may be listened on, unless "
         "tls.plaintext_networks names who may speak so; with TLS it is mllp.tls_listen (docs/trust.md)")),
        ("[mllp]", '[metrics]\nlisten = "0.0.0.0:8080"\n[mllp]',
         "line 4: metrics.listen: only an address of the loopback interface may be listened on"),
        ("[mllp]", f'[metrics]\nlisten = "{MARK}"\n[mllp]',
         "line 4: metrics.listen: off, or an address, a colon and a port: 127.0.0.1:9464"),
        ("[mllp]", '[metrics]\nlisten = "::1:8080"\n[mllp]',
         "line 4: metrics.listen: off, or an address, a colon and a port: 127.0.0.1:9464"),
        ("[mllp]", '[metrics]\nlisten = "127.0.0.1:65536"\n[mllp]',
         "line 4: metrics.listen: off, or an address, a colon and a port: 127.0.0.1:9464"),
        ('door = "mllp"', f'door = "{MARK}"', "line 35: connections[0].door: one of mllp, http"),
        ("[mllp]", f"[mllp]\n{MARK}", "line 4: gateway.toml: not TOML, column 12"),
        ("port = 2600", "port = 1\nport = 2", "line 5: gateway.toml: not TOML, column 9"),
        ('finess_ej = "990000042"', f'finess_ej = "990000042"\nkind = "{MARK}"',
         "line 19: establishments[1].kind: not one of the values that it may have: " + ", ".join(SourceKind)),
        ('finess_ej = "990000042"', f'finess_ej = "990000042"\nopposition_scope = "{MARK}"',
         "line 19: establishments[1].opposition_scope: not one of the values that it may have: legal_entity, site"),
        ('finess_ej = "990000042"', 'finess_ej = "990000042"\nopposition_scope = "site"',
         "line 19: establishments[1].opposition_scope: no site to tell apart: finess_eg is empty"),
        ('charset = "8859/15"', f'kind = "{MARK}"',
         "line 32: sources[1].kind: not one of the values that it may have: " + ", ".join(SourceKind)),
        ('charset = "8859/15"', 'kind = "patient"',
         "line 32: sources[1].kind: the patient's own door belongs to an establishment of kind patient"),
        ('charset = "8859/15"', 'site = "990000026"',
         "line 32: sources[1].site: not a finess_eg of its establishment, or its opposition_scope is not site"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said_with_its_line(old: str, new: str, expected: str, write) -> None:
    assert old in BASE
    assert expected in faults(write(BASE.replace(old, new, 1)))


def test_kinds_and_sites(write) -> None:
    by_site = BASE.replace('finess_eg = ["990000026"]', 'finess_eg = ["990000026"]\nopposition_scope = "site"')
    loaded = load(write(by_site.replace('charset = "8859/15"', 'site = "1990000026"\nkind = "laboratory"')), {}, {})
    directory = loaded.settings.directory
    gam, sil = directory.sources
    assert (directory.kinds(gam), directory.kinds(sil)) == (("hospital",), ("laboratory", "hospital"))
    assert (directory.side(gam), directory.side(sil)) == ("chu", "chu/990000026")
    assert faults(write(by_site.replace('charset = "8859/15"', 'site = "990000042"'))) == [
        "line 33: sources[1].site: not a finess_eg of its establishment, or its opposition_scope is not site"
    ]
    patients = BASE.replace('name = "Clinic"', 'name = "Clinic"\nkind = "patient"')
    loaded = load(write(patients.replace('id = "sil"\nestablishment = "chu"', 'id = "sil"\nestablishment = "clinic"')), {}, {})
    assert loaded.settings.directory.kinds(loaded.settings.sources[1]) == ("patient",)


def test_a_sender_without_facility_is_admitted_under_that_name_only(write) -> None:
    loaded = load(write(BASE.replace('facility = "CHU"', 'facility = ""', 1)), {}, {})
    assert loaded.settings.directory.source("GAM", "") is not None
    assert loaded.settings.directory.source("GAM", "CHU") is None
    assert faults(write(BASE.replace('facility = "CHU"', 'facility = " "', 1))) == [
        "line 24: sources[0].facility: blanks around it"
    ]
    assert faults(write(BASE.replace('application = "GAM"', 'application = ""', 1))) == [
        "line 23: sources[0].application: empty, or blanks around it"
    ]


def test_authorities_belong_to_one_establishment(write) -> None:
    text = BASE.replace('finess_ej = "990000042"', 'finess_ej = "990000042"\nauthorities = {nir = ["chu"]}')
    assert faults(write(text)) == [
        "line 19: establishments[1].authorities.nir: shares an assigning authority with establishments[0]"
    ]


def test_two_connections_of_one_network_admit_a_name_once(write) -> None:
    other = '\n[[sources]]\nid = "sil2"\nestablishment = "clinic"\napplication = "SIL"\nfacility = "CHU"\n'
    connection = '\n[[connections]]\ndoor = "mllp"\nnetworks = ["127.0.0.1/32"]\nsources = ["sil2"]\n'
    (found,) = faults(write(BASE + other + connection))
    assert "together with connections[0]" in found
    apart = BASE.replace('door = "mllp"', 'door = "mllp"\nport = 2600')
    load(write(apart + other + connection.replace('"mllp"', '"mllp"\nport = 2601')), {}, {})


def test_everything_wrong_is_said_at_once(write) -> None:
    found = faults(write(BASE.replace("port = 2600", "prot = 1\nhots = 2")), {"DMP_GATEWAY_MLLP_PROT": MARK}, {"mllp.prt": 1})
    assert [line.split(";")[0] for line in found] == [
        "line 4: mllp.prot: unknown key",
        "line 5: mllp.hots: unknown key",
        "DMP_GATEWAY_MLLP_PROT: unknown environment variable",
        "--mllp.prt: unknown flag",
    ]
    assert "did you mean DMP_GATEWAY_MLLP_PORT?" in found[2]


def test_a_wrong_value_of_the_environment_is_named_by_its_variable(write) -> None:
    assert faults(write(BASE), {"DMP_GATEWAY_MLLP_PORT": MARK}) == ["DMP_GATEWAY_MLLP_PORT: expected `int`"]
    assert faults(write(BASE), {"DMP_GATEWAY_LOG_LEVEL": MARK}) == [
        "DMP_GATEWAY_LOG_LEVEL: not one of the values that it may have: debug, info, warning, error"
    ]


def test_a_file_that_is_not_utf8_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "gateway.toml"
    path.write_bytes(BASE.replace("CHU", "CH\xc9").encode("latin-1"))
    assert faults(path) == ["gateway.toml: the file is not UTF-8"]


def test_a_byte_order_mark_is_borne(write) -> None:
    load(write("\ufeff" + BASE), {}, {})


def test_the_lines_of_a_file() -> None:
    found = places(BASE)
    assert found["mllp.port"] == 4
    assert found["establishments[0].authorities.ipp"] == 13
    assert line_of("sources[1].grants[3]", found) == found["sources[1]"]
    assert line_of("nothing", found) is None


def test_the_charsets_of_sources_are_those_that_are_read() -> None:
    assert set(references.CHARSETS) == set(charset.CHARSETS)
