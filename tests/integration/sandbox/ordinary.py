"""Runs every escape attempt in one tier, as whoever runs this, and writes what came of it as JSON."""

import asyncio
import json
import sys

from ironclaw_sandbox import Sandbox, Tier, probe
from tests.integration.sandbox import probes
from tests.integration.sandbox.host import attempts


async def main(tier: Tier) -> dict[str, object]:
    report = await probe()
    if tier not in report.tiers:
        missing = "; ".join(f"{one.name}: {one.detail}" for one in report.abilities if not one.works)
        return {"skip": f"the tier {tier} does not work for an ordinary user here: {missing}"}
    sandbox = Sandbox(tier=tier, bwrap=report.bwrap)
    programs = [(one.name, one.program) for one in probes.ALL]
    return {"tried": {name: problem async for name, problem in attempts(sandbox, programs)}}


if __name__ == "__main__":
    sys.stdout.write(json.dumps(asyncio.run(main(Tier(sys.argv[1])))))
