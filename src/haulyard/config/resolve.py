"""Which source of a setting wins: the one place that decides it.

From strongest to weakest: flag; ``HAUL_*``; AWS's own and other plain variables; ``.env`` in the current
directory (both kinds of names); ``haul.toml`` in the current directory; the AWS profile; the default.
An empty variable counts as unset, as CI systems leave them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from haulyard.config.files import TOML, Dotenv, Toml, read_dotenv, read_toml
from haulyard.config.processing import PROCESSING
from haulyard.config.settings import SETTINGS, Setting, Settings, default_state_dir
from haulyard.config.shipping import SHIPPING
from haulyard.config.suggest import nearest
from haulyard.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterable

#: Gives the values of an AWS profile, by environment and name (``""``: the one that the environment names).
ProfileValues = Callable[[Mapping[str, str], str], Mapping[str, object]]

#: Variables that are no settings, for they are shown nowhere.
_SECRETS = frozenset({"HAUL_NOTIFY_SECRET"})
_AWS_ENDPOINTS = frozenset({"AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL"})
_IGNORE_ENDPOINTS = "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS"
#: The settings of single commands, by name.
_OWNED = {**PROCESSING, **SHIPPING}
_SOURCES = {"source_endpoint_url": "endpoint_url", "source_region": "region"}


class _Found(NamedTuple):
    """A raw value, the source that `Settings.origins` names, and the place that an error names."""

    value: object
    origin: str
    place: str


def no_profile(environ: Mapping[str, str], name: str) -> Mapping[str, object]:
    """Give no values: for callers that read no shared config files."""
    del environ, name
    return {}


def resolve(
    flags: Mapping[str, object],
    environ: Mapping[str, str],
    cwd: str,
    profile_values: ProfileValues = no_profile,
) -> Settings:
    """Return every setting's value.

    ``flags`` maps names of settings to texts (or values); None counts as not given. Relative paths are
    left relative.

    Raises:
        ConfigError: A value that its kind does not allow, or a broken ``haul.toml``.
    """
    dotenv, toml = read_dotenv(cwd), read_toml(cwd)
    if toml is not None:
        _refuse_unknown_keys(toml)
    values, origins = _resolved(SETTINGS, flags, environ, dotenv, toml)
    later = [setting for name, setting in SETTINGS.items() if name not in values]
    environment = {**dotenv.values, **environ} if dotenv else dict(environ)
    _take_profiles(later, values, origins, lambda name: profile_values(environment, name))
    values.setdefault("state_dir", default_state_dir(environment))
    for name in SETTINGS:
        origins.setdefault(name, "default")
    warnings = tuple(_warnings(environment, dotenv))
    return Settings(**values, origins=origins, warnings=warnings, environment=environment)


def resolve_owned(
    table: Mapping[str, Setting], flags: Mapping[str, object], environ: Mapping[str, str], cwd: str
) -> tuple[dict[str, Any], dict[str, str]]:
    """Return the settings of one command that were given, and their origins; what is missing was not.

    They are read by that command alone: a variable of a common name that means something else to another
    program must not stop those that do not look at it.

    Raises:
        ConfigError: A value that its kind does not allow; where it came from is named.
    """
    return _resolved(table, flags, environ, read_dotenv(cwd), read_toml(cwd))


def _resolved(
    table: Mapping[str, Setting],
    flags: Mapping[str, object],
    environ: Mapping[str, str],
    dotenv: Dotenv | None,
    toml: Toml | None,
) -> tuple[dict[str, Any], dict[str, str]]:
    values: dict[str, Any] = {}
    origins: dict[str, str] = {}
    for setting in table.values():
        found = (
            _in_flags(setting, flags)
            or _in_environment(setting, environ)
            or (_in_dotenv(setting, dotenv) if dotenv else None)
            or (_in_toml(setting, toml) if toml else None)
        )
        if found is not None:
            values[setting.name] = _read(setting, found)
            origins[setting.name] = found.origin
    return values, origins


def _in_flags(setting: Setting, flags: Mapping[str, object]) -> _Found | None:
    value = flags.get(setting.name)
    return None if value is None else _Found(value, setting.flag, setting.flag)


def _in_environment(setting: Setting, environ: Mapping[str, str]) -> _Found | None:
    for name in (setting.variable, *setting.names):
        value = environ.get(name)
        if value and not (name in _AWS_ENDPOINTS and environ.get(_IGNORE_ENDPOINTS, "").lower() == "true"):
            return _Found(value, name, name)
    return None


def _in_dotenv(setting: Setting, dotenv: Dotenv) -> _Found | None:
    found = _in_environment(setting, dotenv.values)
    if found is None:
        return None
    name = found.origin
    return found._replace(origin=f".env ({name})", place=f"{dotenv.path}, line {dotenv.lines[name]}: {name}")


def _in_toml(setting: Setting, toml: Toml) -> _Found | None:
    if setting.name not in toml.values:
        return None
    value = toml.values[setting.name]
    place = f"{toml.path}, line {toml.line_of(setting.name)}: {setting.name}"
    try:
        setting.kind.read_native(value)
    except ValueError:
        raise _refused(setting, value, place) from None
    return _Found(value, TOML, place)


def _take_profiles(
    missing: Iterable[Setting],
    values: dict[str, Any],
    origins: dict[str, str],
    profile_values: Callable[[str], Mapping[str, object]],
) -> None:
    """Fill what nothing stronger gave from the AWS profile, the source's side from the source's."""
    profile, source = values.get("profile", ""), values.get("source_profile", "")
    own = profile_values(profile)
    other = profile_values(source) if source else {}
    for setting in missing:
        kin = SETTINGS[_SOURCES.get(setting.name, setting.name)]
        given, name = (other, source) if kin is not setting else (own, profile)
        value = given.get(kin.profile_key)
        if value is not None and value != "":
            origin = f"profile {name or 'default'}"
            values[setting.name] = _read(setting, _Found(value, origin, f"{origin}: {kin.profile_key}"))
            origins[setting.name] = origin


def _read(setting: Setting, found: _Found) -> object:
    try:
        return setting.kind.read(found.value)
    except ValueError:
        raise _refused(setting, found.value, found.place) from None


def _refused(setting: Setting, value: object, place: str) -> ConfigError:
    # An endpoint may hold a password by mistake, or a key in its query, which must not be repeated.
    shown = "the value" if {"@", "?"} & set(str(value)) else repr(value)
    return ConfigError(f"{place}: {shown} is not allowed", hint=f"give {setting.kind.allowed}")


def _refuse_unknown_keys(toml: Toml) -> None:
    for key in toml.values:
        if key not in SETTINGS and key not in _OWNED:
            near = nearest(key, [*SETTINGS, *_OWNED])
            raise ConfigError(
                f"{toml.path}, line {toml.line_of(key)}: {key} is not a setting",
                hint=f"did you mean {near}?" if near else "haul config lists the settings",
            )


def _warnings(environment: Mapping[str, str], dotenv: Dotenv | None) -> Iterable[str]:
    known = {setting.variable for setting in (*SETTINGS.values(), *_OWNED.values())} | _SECRETS
    for name in environment:
        if name.startswith("HAUL_") and name not in known:
            near = nearest(name, known)
            yield f"{name} is not a variable of Haulyard" + (f"; did you mean {near}?" if near else "")
    for line in dotenv.unread if dotenv else ():
        yield f".env, line {line} is not NAME=value and was passed over"
