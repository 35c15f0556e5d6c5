"""Reading the settings: file < environment < flags; unknown keys are errors."""

import enum
import re
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final, get_args

import msgspec

from gateway.config import references
from gateway.config.faults import ConfigurationInvalid, Fault, nearest
from gateway.config.lines import line_of, places
from gateway.config.settings import APART, LISTS, PREFIX, SECTIONS, SETTINGS, Environment, Settings
from gateway.model.base import Model
from gateway.model.source import Grant


class Origin(enum.StrEnum):
    """Where the value of a setting came from."""

    DEFAULT = "default"
    SAMPLE = "sample"
    FILE = "file"
    ENVIRONMENT = "environment"
    FLAG = "flag"


class Loaded(Model, frozen=True, kw_only=True):
    """The settings, and where they came from."""

    settings: Settings
    #: Origin by name of a setting of `SETTINGS`.
    origins: Mapping[str, Origin]
    path: Path
    #: No file was named: the sample configuration runs, on the loopback interface, as test (D-17).
    sample: bool


_BY_VARIABLE: Final = {row.variable: row for row in SETTINGS}
_BY_NAME: Final = {row.name: row for row in SETTINGS}
_TOML_PLACE: Final = re.compile(r"\(at line (\d+), column (\d+)\)")
_CONVERSION_PATH: Final = re.compile(r" - at `\$\.?([^`]*)`$")
_EXPECTED: Final = re.compile(r"Expected (.*?)(?:, got .*)?$")


def samples_directory() -> Path:
    """Return the folder of the samples: `gateway/_samples` in an installed wheel, `samples/` in a checkout."""
    package = Path(__file__).resolve().parent.parent
    carried = package / "_samples"
    return carried if carried.is_dir() else package.parent / "samples"


def load(path: Path | None, environ: Mapping[str, str], flags: Mapping[str, object]) -> Loaded:
    """
    Read the settings.

    Args:
        path: The TOML file; None takes the sample configuration.
        environ: The environment: ``DMP_GATEWAY_<SECTION>_<KEY>`` goes over the file.
        flags: Values by name of a setting (``mllp.port``), over both; None values are not set.

    Returns:
        The settings with their origins.

    Raises:
        ConfigurationInvalid: everything that is wrong, with lines where known, without values.
        OSError: the file cannot be read.
    """
    sample = path is None
    file = samples_directory() / "dmp-gateway.toml" if path is None else path
    text, tree = _parse(file)
    known = places(text)
    found = [*_unknown_keys(tree), *_environment_said(tree)]
    origins = {row.name: Origin.DEFAULT for row in SETTINGS}
    origins |= dict.fromkeys(_present(tree), Origin.SAMPLE if sample else Origin.FILE)
    found += _overlay_environment(tree, environ, origins)
    found += _overlay_flags(tree, flags, origins)
    settings = None if found else _convert(tree, found)
    if settings is not None:
        settings = _rooted(settings, file.parent)
        found += references.faults(settings)
        if sample and settings.environment is not Environment.TEST:
            found.append(Fault(name="environment", text="the sample configuration is for tests only: name a file by --config"))
    if found or settings is None:
        raise ConfigurationInvalid([_placed(fault, origins, known) for fault in found])
    return Loaded(settings=settings, origins=origins, path=file, sample=sample)


def _parse(file: Path) -> tuple[str, dict[str, Any]]:
    try:
        text = file.read_bytes().decode("utf-8-sig")
        return text, tomllib.loads(text)
    except UnicodeDecodeError as error:
        raise ConfigurationInvalid([Fault(name=file.name, text="the file is not UTF-8")]) from error
    except tomllib.TOMLDecodeError as error:
        place = _TOML_PLACE.search(str(error))
        where = f", column {place.group(2)}" if place else " (at its end)"
        line = int(place.group(1)) if place else None
        raise ConfigurationInvalid([Fault(name=file.name, text=f"not TOML{where}", line=line)]) from None


def _unknown_keys(tree: Mapping[str, Any]) -> Iterator[Fault]:
    top = {"environment", *SECTIONS, *LISTS}
    for key, value in tree.items():
        if key not in top:
            yield Fault(name=key, text="unknown key" + nearest(key, top))
        elif key in SECTIONS and isinstance(value, dict):
            yield from _unknown_in(key, value, SECTIONS[key])
        elif key in LISTS and isinstance(value, list):
            for index, row in enumerate(value):
                if isinstance(row, dict):
                    yield from _unknown_in(f"{key}[{index}]", row, LISTS[key])


def _unknown_in(where: str, table: Mapping[str, Any], kind: type[Model]) -> Iterator[Fault]:
    keys = {field.name for field in msgspec.structs.fields(kind)}
    for key in table:
        if key not in keys:
            yield Fault(name=f"{where}.{key}", text="unknown key" + nearest(key, keys))


def _present(tree: Mapping[str, Any]) -> Iterator[str]:
    for name in _BY_NAME:
        section, _, key = name.rpartition(".")
        table = tree.get(section) if section else tree
        if isinstance(table, dict) and key in table:
            yield name


def _overlay_environment(tree: dict[str, Any], environ: Mapping[str, str], origins: dict[str, Origin]) -> Iterator[Fault]:
    for variable, value in sorted(environ.items()):
        if not variable.startswith(PREFIX) or variable in APART:
            continue
        row = _BY_VARIABLE.get(variable)
        if row is None:
            yield Fault(name=variable, text="unknown environment variable" + nearest(variable, _BY_VARIABLE))
            continue
        _put(tree, row.name, _typed(value, row.default))
        origins[row.name] = Origin.ENVIRONMENT


def _overlay_flags(tree: dict[str, Any], flags: Mapping[str, object], origins: dict[str, Origin]) -> Iterator[Fault]:
    for name, value in flags.items():
        if name not in _BY_NAME:
            yield Fault(name=f"--{name}", text="unknown flag" + nearest(name, _BY_NAME))
        elif value is not None:
            _put(tree, name, value)
            origins[name] = Origin.FLAG


def _placed(fault: Fault, origins: Mapping[str, Origin], known: Mapping[str, int]) -> Fault:
    """Add the line of the file, or say that the value is not the file's."""
    setting = fault.name.partition("[")[0]
    origin = origins.get(setting)
    if origin is Origin.ENVIRONMENT:
        return msgspec.structs.replace(fault, name=_BY_NAME[setting].variable)
    if origin is Origin.FLAG or fault.name.startswith(PREFIX):
        return fault
    return msgspec.structs.replace(fault, line=line_of(fault.name, known))


def _environment_said(tree: Mapping[str, Any]) -> Iterator[Fault]:
    if "environment" not in tree:
        choices = " or ".join(f'"{value}"' for value in Environment)
        yield Fault(name="environment", text=f"missing: a file must say {choices}")


def _typed(value: str, default: object) -> object:
    """Read a variable as its setting is written in the file: a list is separated by commas."""
    if isinstance(default, tuple):
        return [part.strip() for part in value.split(",") if part.strip()]
    return _number(value) if isinstance(default, (int, float)) else value


def _number(text: str) -> int | float | str:
    if re.fullmatch(r"-?\d{1,15}", text, re.ASCII):
        return int(text)
    return float(text) if re.fullmatch(r"-?\d{1,15}\.\d{1,15}", text, re.ASCII) else text


def _put(tree: dict[str, Any], name: str, value: object) -> None:
    section, _, key = name.rpartition(".")
    table = tree.setdefault(section, {}) if section else tree
    if isinstance(table, dict):
        table[key] = value


def _convert(tree: Mapping[str, Any], found: list[Fault]) -> Settings | None:
    try:
        return msgspec.convert(tree, Settings)
    except msgspec.ValidationError as error:
        found.append(_conversion_fault(str(error)))
        return None


def _rooted(settings: Settings, folder: Path) -> Settings:
    """Return the settings with the paths of `[tls]` from the root: relative ones begin at the file."""
    names = ("certificate", "key", "authorities", "revocations")
    paths = {name: str(folder / path) for name in names if (path := getattr(settings.tls, name))}
    return msgspec.structs.replace(settings, tls=msgspec.structs.replace(settings.tls, **paths)) if paths else settings


def _conversion_fault(text: str) -> Fault:
    """Keep the path and what was expected: an enumeration's error would repeat the value."""
    place = _CONVERSION_PATH.search(text)
    name = place.group(1) if place else "file"
    text = _CONVERSION_PATH.sub("", text)
    if text.startswith("Object missing required field"):
        return Fault(name=name, text="lacks " + text.removeprefix("Object missing required field "))
    expected = _EXPECTED.match(text)
    if expected:
        return Fault(name=name, text=f"expected {expected.group(1)}")
    return Fault(name=name, text="not one of the values that it may have" + _choices(name))


def _choices(name: str) -> str:
    if ".grants" in name:
        return f": {', '.join(Grant)}"
    section, _, key = name.rpartition(".")
    kind = SECTIONS.get(section) or LISTS.get(section.partition("[")[0], Settings)
    field = next((field for field in msgspec.structs.fields(kind) if field.name == key), None)
    kinds = () if field is None else (field.type, *get_args(field.type))
    choices = next((each for each in kinds if isinstance(each, enum.EnumMeta)), None)
    return f": {', '.join(choices)}" if choices is not None else ""
