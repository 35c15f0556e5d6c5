"""
S12: what the program may not do at all, and what only one place may: found in its source, wherever somebody writes it.

A row of `ALLOWED` says which module may and why; a row that nothing needs any more fails as well.
"""

import ast
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import pytest

#: Names as they are called, whatever they were imported as. A dot at the end: everything of that module.
FORBIDDEN = {
    "runs text as a program": ("eval", "exec", "compile", "__import__", "runpy.run_path", "importlib.import_module"),
    "makes objects of what a text names": (
        *("pickle.", "cPickle.", "marshal.", "shelve.", "dill.", "jsonpickle.", "yaml.load", "yaml.unsafe_load", "copyreg."),
    ),
    "starts a shell": ("os.system", "os.popen", "subprocess.getoutput", "subprocess.getstatusoutput", "commands.", "pty.spawn"),
    "starts a program": ("subprocess.", "os.execv", "os.execve", "os.execvp", "os.posix_spawn", "multiprocessing."),
    "asks another server by HTTP": (
        "requests.",
        "urllib.request.",
        "http.client.",
        "httpx.",
        "aiohttp.",
        "urllib3.",
        "ftplib.",
        "smtplib.",
    ),
    "reads XML": ("lxml.etree.", "lxml.html.", "lxml.objectify.", "xml."),
    "unpacks an archive": ("zipfile.", "tarfile.", "shutil.unpack_archive", "gzip.", "bz2.", "lzma."),
    "unpacks without a bound": ("zlib.decompress", "backports.zstd.decompress", "compression.zstd.decompress"),
    "reads JSON at a door": ("json.loads", "json.load", "json.JSONDecoder", "msgspec.json.decode", "msgspec.json.Decoder"),
    "trusts any certificate": ("ssl._create_unverified_context", "ssl.CERT_NONE", "ssl.CERT_OPTIONAL"),
    "hashes weakly": ("hashlib.md5", "hashlib.sha1", "hashlib.new"),
    "draws lots that can be guessed": ("random.",),
    "writes where others may": ("tempfile.mktemp", "os.chmod", "os.umask"),
}
#: Where doors and mappers read JSON from outside; elsewhere it is our own.
ONLY_IN = {"reads JSON at a door": ("adapters", "mappers")}

ALLOWED = {
    (
        "asks another server by HTTP",
        "queue/rabbitmq/management.py",
    ): "the broker's own management plug-in, which the operator names",
    ("asks another server by HTTP", "demo/portal.py"): "the portal of the demonstration: the gateway that it has started",
    ("draws lots that can be guessed", "queue/rabbitmq/link.py"): "two that come back must part",
    ("draws lots that can be guessed", "store/postgres/store.py"): "two that met must part",
    ("hashes weakly", "mappers/cda/read.py"): "XDS asks for SHA-1; documents are compared by SHA-256",
    ("hashes weakly", "mappers/fhir/composition.py"): "as for a CDA",
    ("hashes weakly", "mappers/fhir/content.py"): "as for a CDA; and FHIR's attachment.hash is SHA-1",
    ("reads JSON at a door", "mappers/cda/declared.py"): "the short part beside a CDA: names and texts alone, capped",
    ("reads XML", "mappers/cda/walk.py"): "a compiled XPath, over what the factory parsed",
    ("runs text as a program", "cli/main.py"): "a verb's module, by its name in the table of verbs",
    ("starts a program", "demo/crash.py"): "the demonstration starts gateways",
    ("starts a program", "demo/process.py"): "as above",
    ("starts a program", "demo/several.py"): "as above",
    ("starts a program", "demo/story.py"): "as above",
    (
        "trusts any certificate",
        "adapters/tls.py",
    ): "a client may show none over HTTP, where a token may tell; one that it shows must be good",
    ("trusts any certificate", "cli/doctor_trust.py"): "looks at what our own door shows, and compares it with the file",
    ("reads XML", "mappers/cda/xml.py"): "the one factory of parsers",
    ("reads JSON at a door", "mappers/fhir/json.py"): "the one reader of JSON from outside",
    ("reads JSON at a door", "mappers/fhir/slices.py"): "finds where the entries stand in what that reader has taken",
}


def called(source: str) -> Iterator[str]:
    """Every dotted name that a module uses, with its imports resolved."""
    tree = ast.parse(source)
    names: dict[str, str] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for each in node.names:
                names[each.asname or each.name.split(".")[0]] = each.name if each.asname else each.name.split(".")[0]
        elif isinstance(node, ast.ImportFrom) and node.module:
            for each in node.names:
                names[each.asname or each.name] = f"{node.module}.{each.name}"
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and (dotted := written(node)):
            head, _, rest = dotted.partition(".")
            yield f"{names[head]}.{rest}" if head in names else dotted
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            yield names.get(node.func.id, node.func.id)
        elif isinstance(node, ast.keyword) and node.arg == "shell" and getattr(node.value, "value", None) is not False:
            yield "os.system"


def written(node: ast.expr) -> str:
    """The dotted name of an attribute, empty for one of an expression."""
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute) and (head := written(node.value)):
        return f"{head}.{node.attr}"
    return ""


def found(source: str) -> set[str]:
    """What a module does of what is forbidden."""
    return {
        what
        for name in called(source)
        for what, forbidden in FORBIDDEN.items()
        if any(name == each or (each.endswith(".") and name.startswith(each)) for each in forbidden)
    }


def test_nothing_does_what_only_one_place_may(root: Path) -> None:
    everywhere = defaultdict(set)
    for path in sorted((root / "gateway").rglob("*.py")):
        name = path.relative_to(root / "gateway").as_posix()
        for what in found(path.read_text(encoding="utf-8")):
            if what not in ONLY_IN or name.split("/")[0] in ONLY_IN[what]:
                everywhere[what].add(name)
    done = {(what, name) for what, names in everywhere.items() for name in names}
    assert sorted(done - ALLOWED.keys()) == []
    assert sorted(ALLOWED.keys() - done) == [], "a row that nothing needs any more"
    assert all(ALLOWED.values())


@pytest.mark.parametrize(
    ("source", "what"),
    [
        ("eval(x)", "runs text as a program"),
        ("import pickle as p\np.loads(x)", "makes objects of what a text names"),
        ("from subprocess import run\nrun('ls', shell=True)", "starts a shell"),
        ("from subprocess import run as go\ngo(['ls'])", "starts a program"),
        ("from urllib.request import urlopen\nurlopen(x)", "asks another server by HTTP"),
        ("import urllib.request\nurllib.request.urlopen(x)", "asks another server by HTTP"),
        ("from lxml import etree\netree.parse(x)", "reads XML"),
        ("from lxml.etree import fromstring\nfromstring(x)", "reads XML"),
        ("from xml.dom import minidom\nminidom.parseString(x)", "reads XML"),
        ("import json\njson.loads(x)", "reads JSON at a door"),
        ("import msgspec\nmsgspec.json.decode(x)", "reads JSON at a door"),
        ("import zlib\nzlib.decompress(x)", "unpacks without a bound"),
        ("import ssl\nssl.CERT_NONE", "trusts any certificate"),
        ("import random\nrandom.random()", "draws lots that can be guessed"),
    ],
)
def test_the_search_finds_it(source: str, what: str) -> None:
    assert what in found(source)


def test_the_search_finds_nothing_else() -> None:
    assert (
        found("import json\njson.dumps(x)\nself.compile(x)\nre.compile(x)\nmsgspec.json.encode(x)\nzlib.decompressobj()") == set()
    )
