"""OpenTelemetry's variables, checked before its SDK would overlook a mistake or raise one."""

import os
from collections.abc import Callable, Sequence
from importlib.metadata import entry_points
from pathlib import Path
from urllib.parse import urlsplit

EXPORTERS = ("otlp", "console", "none")
PROTOCOLS = ("http/protobuf",)
RATIOS = ("traceidratio", "parentbased_traceidratio")
SAMPLERS = (
    *("always_on", "always_off", "parentbased_always_on", "parentbased_always_off"),
    *RATIOS,
)
COMPRESSIONS = ("none", "gzip", "deflate")
QUEUE, BATCH = "OTEL_BSP_MAX_QUEUE_SIZE", "OTEL_BSP_MAX_EXPORT_BATCH_SIZE"
COUNTS = ("OTEL_BSP_SCHEDULE_DELAY", "OTEL_BSP_EXPORT_TIMEOUT", QUEUE, BATCH)
LIMITS = (
    "OTEL_ATTRIBUTE_COUNT_LIMIT",
    "OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT",
    "OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT",
    "OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT",
    "OTEL_SPAN_EVENT_COUNT_LIMIT",
    "OTEL_SPAN_LINK_COUNT_LIMIT",
    "OTEL_EVENT_ATTRIBUTE_COUNT_LIMIT",
    "OTEL_LINK_ATTRIBUTE_COUNT_LIMIT",
)
PROVIDER = "OTEL_PYTHON_TRACER_PROVIDER"
PROPAGATORS = "OTEL_PROPAGATORS"


def check() -> None:
    """Raise ValueError, with the name of the variable, for a value that cannot be meant."""
    _one_of("OTEL_TRACES_EXPORTER", EXPORTERS)
    _one_of("OTEL_TRACES_SAMPLER", SAMPLERS)
    if value("OTEL_TRACES_SAMPLER").lower() in RATIOS:
        _number("OTEL_TRACES_SAMPLER_ARG", float, 0, 1)
    if exporter() == "otlp":
        for prefix in ("OTEL_EXPORTER_OTLP", "OTEL_EXPORTER_OTLP_TRACES"):
            _check_exporter(prefix)
    for name in COUNTS:
        _number(name, int, 1)
    for name in LIMITS:
        _number(name, int, 0)
    if int(value(BATCH) or 512) > int(value(QUEUE) or 2048):
        raise ValueError(f"{BATCH}: more than {QUEUE}")
    _one_of(PROVIDER, _installed("opentelemetry_tracer_provider"), fold=str)
    _check_propagators()


def ratio() -> float | None:
    """The share of new traces that is kept, where a trace's parent decides about all others."""
    match value("OTEL_TRACES_SAMPLER").lower():
        case "" | "parentbased_always_on":
            return 1.0
        case "parentbased_always_off":
            return 0.0
        case "parentbased_traceidratio":
            return float(value("OTEL_TRACES_SAMPLER_ARG") or 1)
    return None


def drop_empty() -> None:
    """Take away variables without a value: they count as not set, and the SDK does not know."""
    for name in [name for name in os.environ if name.startswith("OTEL_") and not value(name)]:
        del os.environ[name]


def value(name: str) -> str:
    """The variable's value, or an empty text."""
    return os.environ.get(name, "")


def exporter() -> str:
    """Where spans go."""
    return value("OTEL_TRACES_EXPORTER").lower() or "otlp"


def is_disabled() -> bool:
    """Whether OTEL_SDK_DISABLED says that there is to be no trace."""
    return value("OTEL_SDK_DISABLED").lower() == "true"


def _installed(group: str) -> list[str]:
    return [each.name for each in entry_points(group=group)]


def _check_propagators() -> None:
    known = [*_installed("opentelemetry_propagator"), "none"]
    if unknown := {each.strip() for each in value(PROPAGATORS).split(",")} - {*known, ""}:
        raise ValueError(f"{PROPAGATORS}: {min(unknown)!r} is none of {', '.join(known)}")


def _check_exporter(prefix: str) -> None:
    _one_of(f"{prefix}_PROTOCOL", PROTOCOLS)
    _one_of(f"{prefix}_COMPRESSION", COMPRESSIONS)
    _url(f"{prefix}_ENDPOINT")
    _number(f"{prefix}_TIMEOUT", float, 0)
    for file in ("CERTIFICATE", "CLIENT_CERTIFICATE", "CLIENT_KEY"):
        if (given := value(f"{prefix}_{file}")) and not Path(given).is_file():
            raise ValueError(f"{prefix}_{file}: there is no such file")
    if not all("=" in each for each in value(f"{prefix}_HEADERS").split(",") if each.strip()):
        raise ValueError(f"{prefix}_HEADERS: not name=value, or several of it separated by commas")


def _one_of(name: str, known: Sequence[str], fold: Callable[[str], str] = str.lower) -> None:
    if (given := fold(value(name))) and given not in known:
        raise ValueError(f"{name}: it is {given!r}, and not one of {', '.join(known)}")


def _url(name: str) -> None:
    if not (given := value(name)):
        return
    try:
        parts = urlsplit(given)
        is_url = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        is_url = False
    if not is_url:
        raise ValueError(f"{name}: not a URL such as http://localhost:4318")


def _number(name: str, read: type[int] | type[float], least: float, most: float = 1e9) -> None:
    if not (given := value(name)):
        return
    try:
        is_good = least <= read(given) <= most
    except ValueError:
        is_good = False
    if not is_good:
        raise ValueError(f"{name}: not a number from {least:g} to {most:g}")
