"""Hardened git for IronClaw: worktrees, merges, promotion, salvage. The only place that runs git."""

from ironclaw_contracts.artifacts import OPERATIONAL_FILES
from ironclaw_git.archive import Archived, archive
from ironclaw_git.bundles import bundle_all, restore_bundle
from ironclaw_git.checkout import WorktreeStatus, commit_all, follow_branch, status
from ironclaw_git.copying import begin_at
from ironclaw_git.errors import (
    DirtyCheckout,
    GitError,
    GitTimeout,
    NotARepository,
    Occupied,
    OutputTooLarge,
    RemoteRefused,
    StaleRef,
    UnknownObject,
    UnsafeConfig,
    UnsafeName,
    UnsafePath,
    WouldLoseWork,
)
from ironclaw_git.evidence import evidence
from ironclaw_git.kept import Family, Kept, drop_merged, kept_by_then, kept_refs
from ironclaw_git.layout import WorktreeRecord, worktree_records
from ironclaw_git.merge import Conflict, Merged, foresee, merge
from ironclaw_git.names import (
    IRONCLAW,
    Person,
    archive_ref,
    check_attempt,
    check_branch,
    check_id,
    check_ref,
    check_sha,
    order_branch,
    parse_order_branch,
    salvage_ref,
)
from ironclaw_git.objects import ChangedPath, CommitInfo, Diff, FileEntry, NewBlobs, StoredObject
from ironclaw_git.paths import check_relative_path, contained
from ironclaw_git.promotion import catch_up, promote
from ironclaw_git.push import Credentials, check_remote, push
from ironclaw_git.reading import Reading
from ironclaw_git.remote import Remote, fetch_worktree, push_branch
from ironclaw_git.repository import Repository
from ironclaw_git.run import GitResult, run_git
from ironclaw_git.salvage import archive_by_ref, salvage, salvage_by_ref
from ironclaw_git.transport import GitService, advertise, exchange
from ironclaw_git.trees import commit_changed, export_tree, join
from ironclaw_git.worktree import (
    Worktree,
    add_worktree,
    delete_branch,
    remove_worktree,
)

__all__ = [
    "IRONCLAW",
    "OPERATIONAL_FILES",
    "Archived",
    "ChangedPath",
    "CommitInfo",
    "Conflict",
    "Credentials",
    "Diff",
    "DirtyCheckout",
    "Family",
    "FileEntry",
    "GitError",
    "GitResult",
    "GitService",
    "GitTimeout",
    "Kept",
    "Merged",
    "NewBlobs",
    "NotARepository",
    "Occupied",
    "OutputTooLarge",
    "Person",
    "Reading",
    "Remote",
    "RemoteRefused",
    "Repository",
    "StaleRef",
    "StoredObject",
    "UnknownObject",
    "UnsafeConfig",
    "UnsafeName",
    "UnsafePath",
    "Worktree",
    "WorktreeRecord",
    "WorktreeStatus",
    "WouldLoseWork",
    "add_worktree",
    "advertise",
    "archive",
    "archive_by_ref",
    "archive_ref",
    "begin_at",
    "bundle_all",
    "catch_up",
    "check_attempt",
    "check_branch",
    "check_id",
    "check_ref",
    "check_relative_path",
    "check_remote",
    "check_sha",
    "commit_all",
    "commit_changed",
    "contained",
    "delete_branch",
    "drop_merged",
    "evidence",
    "exchange",
    "export_tree",
    "fetch_worktree",
    "follow_branch",
    "foresee",
    "join",
    "kept_by_then",
    "kept_refs",
    "merge",
    "order_branch",
    "parse_order_branch",
    "promote",
    "push",
    "push_branch",
    "remove_worktree",
    "restore_bundle",
    "run_git",
    "salvage",
    "salvage_by_ref",
    "salvage_ref",
    "status",
    "worktree_records",
]
