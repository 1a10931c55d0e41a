"""What all settings have in common: how they are checked, and the types that several of them share."""

import os
import sys
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import cache
from typing import Annotated, Any, NamedTuple, TypeVar, get_args

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, Strict, TypeAdapter
from pydantic.functional_validators import AfterValidator
from pydantic_core import PydanticCustomError


class NoEffect(NamedTuple):
    """Why a setting has no effect.

    Attributes
    ----------
    because
        What other settings have, as "kernel is polynomial".
    instead
        What gives the setting an effect, as "set kernel to rbf".
    is_control
        Whether a term of the loss, or a stage, is switched off by 0: such a model is what others are compared with.
    by_default
        Whether it is so unless a configuration says otherwise.
    """

    because: str
    instead: str
    is_control: bool = False
    by_default: bool = False


class Settings(BaseModel):
    """A group of settings, each with its type, bounds, default and one sentence of description.

    Everything else follows from these classes: the checks of a configuration, what the class that trains receives, the
    JSON schema and the tables of config/README.md. Settings do not change once they are read.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False, validate_default=True, strict=True)

    def to_json(self) -> dict:
        """Return the settings as JSON holds them, under the names that a configuration uses."""
        return self.model_dump(mode="json", by_alias=True)

    def without_effect(self) -> dict[str, NoEffect]:
        """Return the settings that change nothing, whatever they are, beside the values that others have, and why.

        A configuration that gives one is refused. Records may have them: they hold all settings.
        """
        return {}


@cache
def adapter(kind: Any) -> TypeAdapter:
    """What reads values as `kind`, a class of settings or a union of some; it takes long to make, and is kept."""
    return TypeAdapter(kind)


def kinds(union: Any) -> list[type[Settings]]:
    """The classes of a union of settings, such as `AnyMethod`, in which a `kind` tells them apart.

    Who knows the union casts them to the class that they have in common.
    """
    return list(get_args(get_args(union)[0]))


def names_of_kinds(union: Any) -> list[str]:
    """The names of all kinds of a union of settings, see `kinds`; a class may have several."""
    return [name for one in kinds(union) for name in get_args(one.model_fields["kind"].annotation)]


def settings_of_kind(union: Any, kind: object) -> type[Settings] | None:
    """The class of a union of settings that has a `kind`, see `kinds`; None where none has it."""
    return next((one for one in kinds(union) if kind in get_args(one.model_fields["kind"].annotation)), None)


def with_defaults(union: Any, recorded: Mapping) -> dict:
    """Return settings as JSON holds them, and the defaults of those that the version that recorded them did not have.

    A setting that is added has what was done before as its default. Those that records leave out have none here.
    Settings of a kind that `union` lacks stay as they are.
    """
    if (settings := settings_of_kind(union, recorded["kind"])) is None:
        return dict(recorded)
    fields = settings.model_fields.items()
    known = {
        field.alias or name: field.get_default() for name, field in fields if not (field.is_required() or field.exclude)
    }
    return known | dict(recorded)


def _reading(read: Callable[[str], object]) -> BeforeValidator:
    """Read text first: YAML takes `1e-3` for text, and Snakemake's `--config` every value inside a list or mapping."""

    def from_text(value: object) -> object:
        if isinstance(value, str):
            with suppress(ValueError, KeyError):
                return read(value)
        return value

    return BeforeValidator(from_text)


def as_float(value: object) -> object:
    # 3 and 3.0 are one configuration; true is no number
    if isinstance(value, int) and not isinstance(value, bool):
        try:
            return float(value)
        except OverflowError:
            # beyond all bounds, which the error then names
            return sys.float_info.max if value > 0 else -sys.float_info.max
    return value


def _without_nul(text: str) -> str:
    if "\0" in text:
        raise PydanticCustomError("nul", "holds a NUL character, which no path and no argument can; leave it out")
    return text


def fits_file_systems(path: str) -> str:
    """Return a path as it is; a PydanticCustomError says that no file system takes it."""
    if (length := max(len(part.encode()) for part in path.split("/"))) > LONGEST_PART:
        what = "has the name of a folder or file in it that has {length} bytes; a file system takes {most}: shorten it"
        raise PydanticCustomError("long_part", what, {"length": length, "most": LONGEST_PART})
    if (length := len(path.encode())) > LONGEST_PATH:
        what = "is a path of {length} bytes; the system takes {most}: put the file where its path is shorter"
        raise PydanticCustomError("long_path", what, {"length": length, "most": LONGEST_PATH})
    return path


def _fits_a_source(source: str) -> str:
    """Return a folder or URL as it is; a PydanticCustomError says that it is longer than either may be."""
    if not source.startswith(("http://", "https://")):
        fits_file_systems(source)
    elif len(source) > LONGEST_URL:
        what = "is an address of {length} characters; servers take {most}: give the folder that holds the files"
        raise PydanticCustomError("long_url", what, {"length": len(source), "most": LONGEST_URL})
    return source


def _distinct(values: list) -> list:
    if len(set(values)) < len(values):
        raise PydanticCustomError("distinct", "an entry comes twice")
    return values


Item = TypeVar("Item")
# of weights, rates and temperatures: nobody means more, and float32, in which losses are computed, has room for it
LARGEST_NUMBER = 1e9
# characters, as many as a path may have
LONGEST_TEXT = 4096
# bytes, of the names in a path and of the whole: beyond, the system refuses to look at it at all
LONGEST_PART, LONGEST_PATH = 255, 4095
# characters that every server and proxy takes
LONGEST_URL = 2000

# Bounds of the items of a list stand before the reading of text, as in `Annotated[int, Field(ge=0), READ_WHOLE]`: only
# there do they get into the JSON schema.
READ_WHOLE, READ_NUMBER = _reading(int), _reading(float)
Whole = Annotated[int, READ_WHOLE]
# with an upper bound of its own, and without one
Number = Annotated[float, BeforeValidator(as_float), READ_NUMBER]
Amount = Annotated[float, Field(le=LARGEST_NUMBER), BeforeValidator(as_float), READ_NUMBER]
Flag = Annotated[bool, _reading(lambda text: {"true": True, "false": False}[text.lower()])]
# of a record; that of a configuration is `Given`
Text = Annotated[str, Strict()]
Given = Annotated[str, Strict(), Field(max_length=LONGEST_TEXT), AfterValidator(_without_nul)]
# the name of a class, which YAML takes for a number where it looks like one
Label = Annotated[Given, BeforeValidator(lambda value: str(value) if type(value) is int else value)]
# a path as people write it in a configuration, where no shell puts the home folder in the place of ~
OwnPath = Annotated[Given, Field(min_length=1), AfterValidator(os.path.expanduser), AfterValidator(fits_file_systems)]
# a folder or a URL
Source = Annotated[Given, Field(min_length=1), AfterValidator(_fits_a_source)]
# where null is allowed; Snakemake's `--config` gives it as text
OrNull = _reading(lambda text: {"null": None}[text])
# Names become folders and, in commands, arguments: none begins with a dash. The names of log files have three of them,
# and a seed: a file system takes names of 255 bytes.
LONGEST_NAME = 64
Name = Annotated[str, Field(pattern=rf"^[A-Za-z0-9][A-Za-z0-9_-]{{0,{LONGEST_NAME - 1}}}$")]
# as torch has it, such as features.2; the network says which it has
LayerName = Annotated[str, Strict(), Field(max_length=LONGEST_NAME)]
Distinct = Annotated[list[Item], Field(json_schema_extra={"uniqueItems": True}), AfterValidator(_distinct)]
AtLeastOne = Annotated[
    list[Item], Field(min_length=1, json_schema_extra={"uniqueItems": True}), AfterValidator(_distinct)
]
