"""Runs commands of orders and gates so that they reach only their worktree, and end with their limits.

sandbox, report = await open_sandbox(os.environ.get("IRONCLAW_SANDBOX"))
outcome = await sandbox.run(Command(argv=("pytest", "-q")), Policy(worktree=path))
"""

from ironclaw_sandbox.errors import BadPolicy, BadSetting, SandboxError, SandboxRefused
from ironclaw_sandbox.outcome import Ended, Outcome, Usage
from ironclaw_sandbox.pathpolicy import PathRules, Violation, judge_paths
from ironclaw_sandbox.policy import Command, Limits, Policy, network_allowed
from ironclaw_sandbox.probe import open_sandbox, probe
from ironclaw_sandbox.run import Sandbox
from ironclaw_sandbox.secretscan import Finding, scan
from ironclaw_sandbox.tier import SETTING, Ability, Report, Setting, Tier, choose, parse_setting

__all__ = [
    "SETTING",
    "Ability",
    "BadPolicy",
    "BadSetting",
    "Command",
    "Ended",
    "Finding",
    "Limits",
    "Outcome",
    "PathRules",
    "Policy",
    "Report",
    "Sandbox",
    "SandboxError",
    "SandboxRefused",
    "Setting",
    "Tier",
    "Usage",
    "Violation",
    "choose",
    "judge_paths",
    "network_allowed",
    "open_sandbox",
    "parse_setting",
    "probe",
    "scan",
]
