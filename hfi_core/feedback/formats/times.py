"""Parse the times of a file. A value that can be read as two times is rejected, and the message names the option."""

import re
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from typing import Any
from zoneinfo import ZoneInfo

from hfi_core.errors import UserError
from hfi_core.feedback.formats.answers import format_value
from hfi_core.feedback.formats.row import ReadOptions

NUMBER_FORMATS = ("unix", "unix-ms", "excel", "excel-1904")
DATE_ORDERS = ("day-first", "month-first")

_EARLIEST, _LATEST = datetime(2000, 1, 1, tzinfo=UTC), datetime(2040, 1, 1, tzinfo=UTC)
"""A number that is a time outside these years is another kind of number: 20261124 would be a day in 1970."""
_EXCEL_EPOCHS = {"excel": datetime(1899, 12, 30), "excel-1904": datetime(1904, 1, 1)}
_UNIX_DIVISORS = {"unix": 1, "unix-ms": 1000}

_NUMBER = re.compile(r"\d+(?:[.,]\d+)?", re.ASCII)
_ISO = re.compile(
    r"(\d{4}-\d\d-\d\d[T ]\d\d:\d\d(?::\d\d(?:[.,]\d+)?)?|\d{8}T\d{4}(?:\d\d(?:[.,]\d+)?)?)"
    r" ?(Z|UTC|GMT|[+-]\d\d(?::?\d\d)?)?",
    re.IGNORECASE | re.ASCII,
)
_ISO_DAY = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)
_DATE = re.compile(
    r"(?:(?P<y>\d{4})/(?P<m>\d\d?)/(?P<d>\d\d?)|(?P<a>\d\d?)(?P<sign>[/.-])(?P<b>\d\d?)(?P=sign)(?P<year>\d{4})),?[ T]+"
    r"(?P<hour>\d\d?):(?P<minute>\d\d)(?::(?P<second>\d\d)(?:\.(?P<fraction>\d{1,6}))?)?(?: ?(?P<half>[ap])\.?m\.?)?",
    re.IGNORECASE | re.ASCII,
)
_OFFSET = re.compile(r"([+-])(\d\d):?(\d\d)")
_KNOWN = "write it in ISO 8601 with its offset from UTC, such as 2026-11-24T09:12:07+00:00"


def parse_time(value: Any, options: ReadOptions) -> str:
    """Parse a value to a time in ISO 8601 with its offset from UTC. Raises ValueError with the reason."""
    try:
        return _parse(value, options).isoformat()
    except OverflowError as error:
        raise ValueError(f"the time {format_value(value)} is outside the years 1 to 9999 in UTC") from error


def parse_zone(name: str) -> tzinfo:
    """Return a time zone by its name or its offset from UTC. Raises UserError if there is none."""
    if match := _OFFSET.fullmatch(name):
        sign, hours, minutes = match.groups()
        if int(hours) < 24 and int(minutes) < 60:
            return timezone((1 if sign == "+" else -1) * timedelta(hours=int(hours), minutes=int(minutes)))
    try:
        return UTC if name.upper() in ("UTC", "Z") else ZoneInfo(name)
    except (OSError, ValueError) as error:  # ZoneInfoNotFoundError is a KeyError
        raise _unknown_zone(name) from error
    except KeyError as error:
        raise _unknown_zone(name) from error


def require_time_options(options: ReadOptions) -> None:
    """Raise UserError if the options name an unknown zone or format, or two formats of the same kind."""
    if options.timezone is not None:
        parse_zone(options.timezone)
    for kinds in (NUMBER_FORMATS, DATE_ORDERS):
        chosen = [name for name in dict.fromkeys(options.time_formats) if name in kinds]
        if len(chosen) > 1:
            raise UserError(f"--time-format {chosen[0]} and --time-format {chosen[1]} contradict each other.")
    for name in options.time_formats:
        if name not in (*NUMBER_FORMATS, *DATE_ORDERS) and "%" not in name:
            known = ", ".join((*NUMBER_FORMATS, *DATE_ORDERS))
            raise UserError(f"--time-format {name!r} is not known; there are {known}, and patterns such as %d.%m.%Y.")


def _parse(value: Any, options: ReadOptions) -> datetime:
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise ValueError(f"the time {format_value(value)} is not a text or a number")
    text = value.strip() if isinstance(value, str) else repr(value)
    for pattern in options.time_formats:
        if "%" in pattern and (moment := _by_pattern(text, pattern)):
            return _localized(moment, value, options)
    if _NUMBER.fullmatch(text):
        return _of_number(text.replace(",", "."), value, options)
    if match := _ISO.fullmatch(text):
        return _of_iso(match, value, options)
    if match := _DATE.fullmatch(text):
        return _of_date(match, value, options)
    if _ISO_DAY.fullmatch(text):
        raise ValueError(
            f"the time {format_value(value)} has no time of day; {_KNOWN}, or read it with --time-format %Y-%m-%d"
        )
    raise ValueError(f"the time {format_value(value)} is not known; {_KNOWN}, or give its --time-format")


def _by_pattern(text: str, pattern: str) -> datetime | None:
    try:
        return datetime.strptime(text, pattern)
    except (ValueError, re.error):
        return None


def _of_number(text: str, value: Any, options: ReadOptions) -> datetime:
    chosen = next((name for name in options.time_formats if name in NUMBER_FORMATS), None)
    number = float(text)
    for name in (chosen,) if chosen else _UNIX_DIVISORS:
        try:
            if name in _UNIX_DIVISORS:
                moment = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=number / _UNIX_DIVISORS[name])
            else:
                days = timedelta(milliseconds=round(number * 86_400_000))
                moment = _localized(_EXCEL_EPOCHS[name] + days, value, options)
        except OverflowError:
            continue
        if _EARLIEST <= moment < _LATEST:
            return moment
    if chosen:
        raise ValueError(f"the time {format_value(value)} is not between the years 2000 and 2040 as {chosen}")
    raise ValueError(
        f"the time {format_value(value)} is a number, but not seconds or milliseconds since 1970 between the years "
        f"2000 and 2040; {_KNOWN}, or, if it is a spreadsheet's day number, add --time-format excel"
    )


def _of_iso(match: re.Match, value: Any, options: ReadOptions) -> datetime:
    clock, zone = match[1].upper().replace(",", "."), (match[2] or "").upper()
    zone = "+00:00" if zone in ("Z", "UTC", "GMT") else zone
    try:
        moment = datetime.fromisoformat(clock + zone)
    except ValueError as error:
        raise ValueError(f"the time {format_value(value)} is not in the calendar; {_KNOWN}") from error
    return _localized(moment, value, options)


def _of_date(match: re.Match, value: Any, options: ReadOptions) -> datetime:
    parts = match.groupdict()
    if parts["y"]:
        year, month, day = (int(parts[name]) for name in ("y", "m", "d"))
    else:
        first, second, year = int(parts["a"]), int(parts["b"]), int(parts["year"])
        day, month = (first, second) if _is_day_first(first, second, parts["sign"], value, options) else (second, first)
    hour = int(parts["hour"])
    if parts["half"]:
        if not 1 <= hour <= 12:
            raise ValueError(f"the time {format_value(value)} has an hour that a clock of twelve hours does not have")
        hour = hour % 12 + (12 if parts["half"].lower() == "p" else 0)
    fraction = int((parts["fraction"] or "0").ljust(6, "0"))
    try:
        moment = datetime(year, month, day, hour, int(parts["minute"]), int(parts["second"] or 0), fraction)
    except ValueError as error:
        raise ValueError(f"the time {format_value(value)} is not in the calendar; {_KNOWN}") from error
    return _localized(moment, value, options)


def _is_day_first(first: int, second: int, sign: str, value: Any, options: ReadOptions) -> bool:
    if "day-first" in options.time_formats or "month-first" in options.time_formats:
        return "day-first" in options.time_formats
    if sign == "." or first == second:
        return True  # no country writes the month first with points
    if (first > 12) == (second > 12):
        raise ValueError(
            f"the time {format_value(value)} can be read with the day or the month first; "
            "add --time-format day-first or month-first"
        )
    return first > 12


def _localized(moment: datetime, value: Any, options: ReadOptions) -> datetime:
    """Return a time with its zone. Raises ValueError for a time that occurs twice, or never, on clocks of the zone."""
    if moment.tzinfo is None:
        if options.timezone is None:
            raise ValueError(
                f"the time {format_value(value)} names no time zone; name it with --timezone, such as UTC or "
                "Europe/Berlin"
            )
        zone = parse_zone(options.timezone)
        moment = moment.replace(tzinfo=zone)
        if moment.utcoffset() != moment.replace(fold=1).utcoffset():
            raise ValueError(
                f"the time {format_value(value)} occurs twice or never in {options.timezone}, because clocks were "
                "changed; write its offset from UTC"
            )
        moment = moment.replace(tzinfo=timezone(moment.utcoffset() or timedelta(0)))
    moment.astimezone(UTC)  # the store sorts by it
    return moment


def _unknown_zone(name: str) -> UserError:
    return UserError(f"--timezone {name!r} is not known; name it like UTC, Europe/Berlin or +01:00.")
