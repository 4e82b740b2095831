"""Errors in one line, what caused them, and long lists cut short."""

import errno
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import pytest
from mlflow.store.artifact.artifact_repo import ArtifactRepository
from mlflow.tracking import MlflowClient
from prefect import flow
from prefect.settings.models.api import APISettings
from pydantic import BaseModel, Field, TypeAdapter, model_validator

from hfi_core.errors import UserError, causes, first_line, listed


@pytest.mark.parametrize(
    ("error", "line", "line_with_type"),
    [
        (TimeoutError(), "TimeoutError", "TimeoutError"),
        (OSError(" \n"), "OSError", "OSError"),
        (ValueError("\n  not a number\nat line 3"), "not a number", "ValueError: not a number"),
    ],
)
def test_the_first_line_of_an_error_without_text_is_its_type(error, line, line_with_type):
    assert first_line(error) == line
    assert first_line(error, with_type=True) == line_with_type


class _Interval(BaseModel, extra="forbid"):
    low: float = Field(ge=0)
    high: float

    @model_validator(mode="after")
    def _ordered(self):
        if self.low > self.high:
            raise ValueError("low is above high")
        return self


class _FailingStore(ArtifactRepository):
    """A store of two files that nobody may read."""

    def list_artifacts(self, path=None):
        from mlflow.entities import FileInfo

        return [] if path else [FileInfo(name, False, 1) for name in ("a.txt", "b.txt")]

    def _download_file(self, remote_file_path, local_path):
        raise OSError(errno.EACCES, "Permission denied", remote_file_path)

    def log_artifact(self, local_file, artifact_path=None): ...

    def log_artifacts(self, local_dir, artifact_path=None): ...


@flow
def _counted(count: Annotated[int, Field(ge=1)]) -> int:
    return count


_REAL_ERRORS: dict[str, tuple[Callable[[Path], object], str]] = {
    "one field": (
        lambda _: _Interval(low=-1, high=1),
        "_Interval is not valid: low: Input should be greater than or equal to 0 (is -1)",
    ),
    "two fields": (
        lambda _: _Interval.model_validate({"low": -1, "high": "x", "hihg": 2}),
        "_Interval is not valid: low: Input should be greater than or equal to 0 (is -1), high: Input should be a "
        "valid number, unable to parse string as a number (is 'x'), hihg: Extra inputs are not permitted (is 2)",
    ),
    "the whole": (lambda _: _Interval(low=2, high=1), "_Interval is not valid: low is above high"),
    "a missing field": (lambda _: _Interval.model_validate({"low": 1}), "_Interval is not valid: high: Field required"),
    "a path": (
        lambda _: TypeAdapter(dict[str, list[int]]).validate_python({"a b": [1, "[type=int]"]}),
        "dict[str,list[int]] is not valid: a b.1: Input should be a valid integer, unable to parse string as an "
        "integer (is '[type=int]')",
    ),
    "Prefect's settings": (
        lambda _: APISettings.model_validate({"enable_http2": "maybe"}),
        "APISettings is not valid: enable_http2: Input should be a valid boolean, unable to interpret input "
        "(is 'maybe')",
    ),
    "Prefect's parameters": (
        lambda _: _counted.validate_parameters({"count": 0}),
        "Flow run received invalid parameters: count: Input should be greater than or equal to 1",
    ),
    "MLflow's downloads": (
        lambda folder: _FailingStore("file:///store").download_artifacts("", str(folder)),
        "The following failures occurred while downloading one or more artifacts from file:///store: File a.txt, "
        "[Errno 13] Permission denied: 'a.txt', File b.txt and 1 more",
    ),
    "MLflow's address": (
        lambda _: MlflowClient("nonsense://host").get_run("x"),
        "Model registry functionality is unavailable; got unsupported URI 'nonsense://host'",
    ),
}


@pytest.mark.parametrize("name", _REAL_ERRORS)
def test_the_line_of_a_library_s_error_says_what_is_wrong_without_the_library_s_own_terms(name, tmp_path):
    cause, line = _REAL_ERRORS[name]
    with pytest.raises(Exception) as caught:  # noqa: PT011 - of many types
        cause(tmp_path)
    assert first_line(caught.value).startswith(line)
    for text in (first_line(caught.value), str(UserError(f"It failed: {caught.value}"))):
        assert not [term for term in ("[type=int_", "input_value=", "errors.pydantic.dev") if term in text]


def test_causes_follow_what_was_raised_from_an_error_and_what_was_raised_while_it_was_handled():
    try:
        try:
            try:
                raise OSError("first")
            except OSError:
                raise ValueError("while it was handled")  # noqa: B904
        except ValueError as error:
            raise RuntimeError("from it") from error
    except RuntimeError as error:
        assert [str(cause) for cause in causes(error)] == ["from it", "while it was handled", "first"]


@pytest.mark.parametrize(
    ("items", "options", "text"),
    [
        ("abc", {}, "a, b, c"),
        ("abcd", {"max_items": 3}, "a, b, c and 1 more"),
        ("", {}, ""),
        ("abcd", {"max_items": 2, "as_lines": True}, "  a\n  b\n  and 2 more"),
        ("ab", {"total": 9}, "a, b and 7 more"),
    ],
)
def test_a_list_names_the_first_items_and_counts_the_rest(items, options, text):
    assert listed(list(items), **options) == text
