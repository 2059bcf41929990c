"""Print the bill of materials of the image that this runs in, as CycloneDX 1.6 JSON: `make sbom`.

Read from what is installed, not from what was asked for: Python's distributions and Debian's packages. Needs
nothing but the standard library, since it is fed to the image's own interpreter.
"""

import json
import re
import sys
from importlib import metadata
from pathlib import Path
from urllib.parse import quote

DPKG_STATUS = Path("/var/lib/dpkg/status")


def python_components() -> list[dict[str, object]]:
    """Return the distributions of this interpreter."""
    found = []
    for item in metadata.distributions():
        name = re.sub(r"[-_.]+", "-", item.name).lower()
        licence = item.metadata.get("License-Expression")
        found.append(
            {
                "type": "library",
                "name": name,
                "version": item.version,
                "purl": f"pkg:pypi/{name}@{quote(item.version)}",
                **({"licenses": [{"expression": licence}]} if licence else {}),
            }
        )
    return found


def debian_components() -> list[dict[str, object]]:
    """Return the packages that dpkg has installed."""
    found = []
    for block in DPKG_STATUS.read_text(encoding="utf-8").split("\n\n"):
        fields = dict(re.findall(r"^(Package|Version|Architecture|Status): (.*)$", block, re.MULTILINE))
        if not fields.get("Status", "").endswith(" installed"):
            continue
        name, version = fields["Package"], fields["Version"]
        purl = f"pkg:deb/debian/{quote(name)}@{quote(version)}?arch={fields['Architecture']}"
        found.append({"type": "library", "name": name, "version": version, "purl": purl})
    return found


def main() -> None:
    """Write the document to standard output, in a fixed order."""
    components = {str(item["purl"]): item for item in [*python_components(), *debian_components()]}
    document = {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {
            "component": {
                "type": "container",
                "name": "ironclaw",
                "version": metadata.version("ironclaw-fleet"),
            }
        },
        "components": [components[purl] for purl in sorted(components)],
    }
    sys.stdout.write(json.dumps(document, indent=1, sort_keys=True) + "\n")


main()
