"""Code systems, value sets, OID to URI: data and look-ups."""

from gateway.terminology.documents import class_of, format_of
from gateway.terminology.sets import NAMES, ValueSet, table
from gateway.terminology.systems import oid_of, system_name, uri_of

__all__ = ["NAMES", "ValueSet", "class_of", "format_of", "oid_of", "system_name", "table", "uri_of"]
