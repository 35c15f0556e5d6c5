"""Build hook: carry the data folders of the repository inside the wheel."""

from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

#: Folder of the repository → folder of the installed package.
CARRIED = {"samples": "gateway/_samples", "schemas": "gateway/_schemas"}


class CarryData(BuildHookInterface):
    """
    Add `CARRIED` to a standard wheel.

    An editable install reads the folders in the repository: a copy made then would go stale without a word.
    """

    PLUGIN_NAME = "custom"

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """
        Name the folders to take into the wheel.

        Args:
            version: `standard` or `editable`.
            build_data: What the builder hands round; `force_include` maps a path to its place in the wheel.

        Raises:
            FileNotFoundError: A folder is missing, so that no wheel leaves without its samples.
        """
        if version != "standard":
            return
        for folder, place in CARRIED.items():
            path = Path(self.root) / folder
            if not path.is_dir():
                message = f"{folder}/ is missing: the wheel would lack {place}"
                raise FileNotFoundError(message)
            build_data["force_include"][str(path)] = place
