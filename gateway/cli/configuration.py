"""The configuration, read once for a verb, or every fault of it told."""

import os
from pathlib import Path

from gateway.cli import console
from gateway.config.faults import ConfigurationInvalid
from gateway.config.load import Loaded, load
from gateway.wiring import trust


def read_configuration(config: Path | None, flags: dict[str, object]) -> Loaded:
    """Return the settings, or end the program with every fault of the configuration."""
    try:
        loaded = load(config, os.environ, flags)
        trust.check(loaded.settings)
    except ConfigurationInvalid as invalid:
        for fault in invalid.faults:
            console.err.print(f"  {fault}")
        console.fail(
            "The configuration cannot be used.", "Correct the lines above; samples/dmp-gateway.toml is a commented example."
        )
    except OSError as failure:
        named = f" {failure.filename}" if failure.filename else ""
        console.fail(f"The configuration{named} cannot be read: {failure.strerror}.", "Check --config.")
    return loaded
