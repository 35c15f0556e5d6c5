"""
Static checks of security (S12): bandit over the program, detect-secrets over every tracked file: `make audit`.

Nothing found may stay unexplained. What bandit finds is explained where it stands, by the reason behind the `noqa: S…` of its
number; what looks like a secret and is none, by a row of `MADE_UP`. There is no file of accepted findings that nobody reads.
"""

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any, Final

from detect_secrets.core.scan import scan_file
from detect_secrets.settings import transient_settings

ROOT: Final = Path(__file__).resolve().parent.parent

#: Tests of bandit that are not run over the program, and why.
SKIPPED: Final = {"B404": "importing `subprocess` does nothing; each use of it is looked at (B603)"}
#: What bandit takes for something else: file, test → why.
MISTAKEN: Final = {
    ("gateway/adapters/tls.py", "B105"): "an empty text in the place of OpenSSL's reason is no password",
}
_REASON: Final = re.compile(r"# noqa: (?P<codes>[A-Z0-9, ]+?) - \S")

_PLUGINS: Final = (
    *("ArtifactoryDetector", "AWSKeyDetector", "AzureStorageKeyDetector", "BasicAuthDetector", "CloudantDetector"),
    *("DiscordBotTokenDetector", "GitHubTokenDetector", "GitLabTokenDetector", "JwtTokenDetector", "KeywordDetector"),
    *("MailchimpDetector", "NpmDetector", "OpenAIDetector", "PrivateKeyDetector", "PypiTokenDetector", "SendGridDetector"),
    *("SlackDetector", "SquareOAuthDetector", "StripeDetector", "TelegramBotTokenDetector", "TwilioKeyDetector"),
)
_SETTINGS: Final = {
    "plugins_used": [
        *({"name": name} for name in _PLUGINS),
        {"name": "Base64HighEntropyString", "limit": 4.5},
        {"name": "HexHighEntropyString", "limit": 3.0},
    ],
}
#: Hashes with which packages are pinned, and pages that are printed from what is looked at already.
_NOT_LOOKED_AT: Final = re.compile(r".*\.lock|.*package-lock\.json|schemas/.*")
#: What looks like a secret and is none: where, the text itself, and why.
MADE_UP: Final = (
    (
        r".*",
        r"secret|geheim(-not)?|password|guest|p%40ss|%s|x+|…|\.\.\.",
        "stands for a password in an example or against a loopback port",
    ),
    (r".*", r"01[0-9A-HJKMNP-TV-Z]{20}-[a-z-]+(-[0-9A-HJKMNP-TV-Z]{8})?", "a receipt id"),
    (r"gateway/queue/receipt\.py|tests/audit\.py", r"0123456789ABCDEFGHJKMNPQRSTVWXYZ", "an alphabet"),
    (r"gateway/terminology/data/.*", r"[A-Za-z0-9+/=_.-]+", "codes of a public value set"),
    (r"tests/golden/.*", r"[0-9a-f]{40}|[0-9a-f]{64}", "hashes of documents"),
    (r"samples/(fhir|postman)/.*", r"[A-Za-z0-9+/\\]+=*\\?", "a made-up document, or its hash"),
    (r"samples/recipe/.*", r"Connexion secrète", "the name of a flag"),
    (r"tests/.*", r"[0-9A-Fa-f]{1,16}", "a number: of a patient, of an establishment"),
)


def main() -> int:
    """Print what is unexplained; return the exit status."""
    unexplained = [*by_bandit(), *by_detect_secrets()]
    for each in unexplained:
        print(each)
    print(f"audit: {len(unexplained)} unexplained")
    return 1 if unexplained else 0


def by_bandit(folder: Path = ROOT / "gateway") -> Iterator[str]:
    """Yield what bandit finds and nobody explained."""
    command = [
        sys.executable,
        "-m",
        "bandit",
        "--quiet",
        "--recursive",
        "--format",
        "json",
        "--skip",
        ",".join(SKIPPED),
        str(folder),
    ]
    told = subprocess.run(command, cwd=ROOT, capture_output=True, check=False, text=True)
    report: dict[str, Any] = json.loads(told.stdout)
    for failed in report["errors"]:
        yield f"bandit could not read {failed['filename']}"
    for found in report["results"]:
        path, number = Path(found["filename"]), found["line_number"]
        name = path.resolve().relative_to(ROOT).as_posix() if path.resolve().is_relative_to(ROOT) else path.as_posix()
        lines = path.read_text(encoding="utf-8").splitlines()
        # A text of several lines has its reason behind its last one.
        near = lines[number - 1 : max([number, *found["line_range"]])]
        codes = {code.strip() for line in near for reason in _REASON.finditer(line) for code in reason["codes"].split(",")}
        if f"S{found['test_id'][1:]}" not in codes and (name, found["test_id"]) not in MISTAKEN:
            yield f"{name}:{number}: {found['test_id']} {found['issue_text']}"


def tracked() -> list[str]:
    """Return the names of the files that are kept."""
    git = shutil.which("git")
    if git is None or not (ROOT / ".git").exists():
        raise SystemExit("audit: not a git work tree: run in a clone")
    listed = subprocess.run([git, "ls-files", "-z"], cwd=ROOT, check=True, capture_output=True).stdout.decode()
    return [name for name in listed.split("\0") if name and (ROOT / name).is_file()]


def by_detect_secrets(names: list[str] | None = None) -> Iterator[str]:
    """Yield what looks like a secret and nobody explained. Nothing is sent anywhere: no service is asked whether it is one."""
    looked_at = [name for name in (tracked() if names is None else names) if not _NOT_LOOKED_AT.fullmatch(name)]
    with ProcessPoolExecutor() as pool:
        for found in pool.map(_scanned, looked_at, chunksize=16):
            yield from found


def _scanned(name: str) -> list[str]:
    with transient_settings(_SETTINGS):
        found = [each for each in scan_file(str(ROOT / name)) if not explained(name, each.secret_value or "")]
    return [f"{name}:{each.line_number}: {each.type}" for each in found]


def explained(name: str, value: str) -> bool:
    """Tell whether a row says that this text in this file is no secret."""
    return any(re.fullmatch(where, name) and re.fullmatch(text, value) for where, text, _ in MADE_UP)


if __name__ == "__main__":
    sys.exit(main())
