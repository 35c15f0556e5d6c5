"""What the shared record derives from a document's type and templates: class code and format code."""

import functools
from collections.abc import Collection, Mapping
from typing import Final

import msgspec

from gateway.model.code import Code
from gateway.terminology.files import load
from gateway.terminology.sets import table

#: Template of an unstructured document (IHE XDS-SD), under which the formats of level 1 are listed.
LEVEL_1: Final = "1.3.6.1.4.1.19376.1.2.20"


class _Class(msgspec.Struct, frozen=True):
    type_code: str
    type_system: str
    class_code: str
    class_display: str


class _Classes(msgspec.Struct, frozen=True):
    map: tuple[_Class, ...]


class _Format(msgspec.Struct, frozen=True):
    template_id: str | None
    format_code: str
    format_system: str
    model: str
    media_type: str | None = None


class _Formats(msgspec.Struct, frozen=True):
    map: tuple[_Format, ...]


@functools.cache
def _classes() -> Mapping[tuple[str, str], Code]:
    systems = {known.code: known.system for known in table("class_code")}
    return {
        (row.type_system, row.type_code): Code(code=row.class_code, system=systems.get(row.class_code), display=row.class_display)
        for row in load("type_to_class", _Classes).map
    }


@functools.cache
def _formats() -> Mapping[tuple[str | None, str | None], Code]:
    return {
        (row.template_id, row.media_type): Code(code=row.format_code, system=row.format_system, display=row.model)
        for row in load("format_code", _Formats).map
    }


def class_of(type_code: Code) -> Code | None:
    """
    Return the classCode of a document type, with its display; None if the shared record takes no such type.

    Args:
        type_code: `ClinicalDocument/code`; its display does not count.

    Source: ASS_X16 (JDV_J66 to JDV_J57).
    """
    return _classes().get((type_code.system or "", type_code.code))


def format_of(template_ids: Collection[str], media_type: str | None) -> Code | None:
    """
    Return the formatCode of a document; its display is the name of the model.

    Args:
        template_ids: Roots of the document's templateIds, in any order.
        media_type: Media type of the file of a level-1 document, None at levels 2 and 3.

    Returns:
        At level 1 the format of the media type, or None if it has none. Else the format of the first row of the table that
        one of the templates has, or the format of documents outside the profiles.

    Source: ASS_A11, ASS_A12.
    """
    formats = _formats()
    if media_type is not None:
        return formats.get((LEVEL_1, media_type))
    found = (code for (template, _), code in formats.items() if template in template_ids and template != LEVEL_1)
    return next(found, formats[None, None])
