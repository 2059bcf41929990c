"""Send the cases of a suite, one after another."""

import aiohttp

from ironclaw_fleet.conformance.case import Case, Outcome, judge

_TIMEOUT_SECONDS = 20.0


async def run_cases(cases: list[Case], base_url: str) -> list[Outcome]:
    """Return what became of each case."""
    outcomes: list[Outcome] = []
    answers: dict[str, bytes] = {}
    timeout = aiohttp.ClientTimeout(total=_TIMEOUT_SECONDS)
    async with aiohttp.ClientSession(timeout=timeout) as session:
        for case in cases:
            try:
                async with session.post(
                    base_url.rstrip("/") + case.path, data=case.body, headers=dict(case.headers)
                ) as response:
                    body = await response.read()
                    outcomes.append(judge(case, response.status, body, answers))
                    answers[case.name] = body
            except (aiohttp.ClientError, TimeoutError, OSError) as error:
                outcomes.append(Outcome(case.name, f"no answer: {type(error).__name__}: {error}"))
    return outcomes
