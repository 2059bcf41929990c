"""The ledger as a whole: `ironclaw ledger verify | export | rebuild`."""

from pathlib import Path

from cyclopts import App

from ironclaw_contracts.chain import Verification, verify_lines
from ironclaw_contracts.endpoints import api_gateway as api
from ironclaw_fleet.cli.output import PLAIN, Options, print_json, say
from ironclaw_fleet.cli.session import Failed, gateway

ledger = App(name="ledger", help="Verify, export and rebuild the ledger.")


@ledger.command
async def verify(file: Path | None = None, *, key: str | None = None, options: Options = PLAIN) -> None:
    """Recompute the hash chain: the service's, or that of an exported file alone.

    Args:
        file: An export; nothing but this file is read then.
        key: The public key (hex) that must have signed the export's checkpoints.
    """
    if file is None:
        async with gateway() as client:
            found = await client.call(api.VERIFY_CHAIN)
    else:
        try:
            with file.open("rb") as lines:
                found = verify_lines(lines, key)
        except OSError as error:
            raise Failed(f"{file} cannot be read: {error.strerror}") from error
    print_json(found) if options.json else say(_said(found))
    if not found.ok:
        raise Failed()


@ledger.command
async def export(file: Path) -> None:
    """Write the whole ledger to a file, one JSON object a line, sealed with a signed checkpoint.

    Args:
        file: The file to write.
    """
    lines = 0
    making = file.with_name(f".{file.name}.part")  # an export that broke off must not pass for a whole one
    try:
        async with gateway() as client:
            with making.open("wb") as target:
                async for line in client.lines(api.EXPORT):
                    target.write(line)
                    lines += 1
        making.replace(file)
    finally:
        making.unlink(missing_ok=True)
    say(f"{file}: {lines} lines")


@ledger.command
async def rebuild(*, options: Options = PLAIN) -> None:
    """Derive every snapshot again from the events and say which live ones differed."""
    async with gateway() as client:
        found = await client.call(api.REBUILD)
    if options.json:
        print_json(found)
        return
    say(f"{found.events} events, {found.runs} runs, {found.orders} orders, {len(found.differing)} differed")


def _said(found: Verification) -> str:
    if found.ok:
        signed = f"{found.checkpoints} signed checkpoints"
        return f"the chain holds: {found.events} events, {signed}, head {found.head_hash[:16]}"
    return f"the chain is broken at seq {found.bad_seq}: {found.reason}"
