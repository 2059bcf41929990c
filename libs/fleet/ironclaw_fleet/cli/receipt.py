"""Mission receipts: `ironclaw receipt RUN`, `ironclaw verify-receipt FILE`."""

from pathlib import Path

from ironclaw_contracts.endpoints import api_gateway as api
from ironclaw_fleet.cli.arguments import Identifier
from ironclaw_fleet.cli.output import PLAIN, Options, print_json, say
from ironclaw_fleet.cli.session import EXIT_USAGE, Failed, gateway
from ironclaw_fleet.statedir import StateDirectory
from ironclaw_fleet.verify_receipt import Broken, read_key, told, verify


async def receipt(run_id: Identifier, *, output: Path | None = None) -> None:
    """Write one file that proves a run offline: its events, commits, gates, reports and signed ACKs.

    Args:
        run_id: The run.
        output: The file; RUN.receipt.jsonl in the current folder otherwise.
    """
    target = output or Path(f"{run_id}.receipt.jsonl")
    async with gateway() as client:
        content = await client.call(api.GET_RECEIPT, run_id=run_id)
    target.write_bytes(content)
    public = StateDirectory.locate().keys / "ledger.pub"
    say(f"{target}: {len(content)} bytes; prove it: ironclaw verify-receipt {target} --key {public}")


def verify_receipt(file: Path, *, key: str | None = None, options: Options = PLAIN) -> None:
    """Verify a receipt with nothing but the file and the ledger's public key.

    Args:
        file: The receipt.
        key: The ledger's public key, as 64 characters of hex or a file in PEM; the receipt's own otherwise.
    """
    try:
        proof = verify(file.read_bytes(), read_key(key) if key else None)
    except Broken as broken:
        raise Failed(f"the receipt does not hold: {broken}") from broken
    except ValueError as error:
        raise Failed(str(error), EXIT_USAGE) from error
    print_json(proof._asdict()) if options.json else say(told(proof).rstrip())
