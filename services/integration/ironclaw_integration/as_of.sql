-- Forget what came after a point, in a restored copy.
delete from verdicts where judged_at > current_setting('ironclaw.moment')::timestamptz;
delete from proofs where tried_at > current_setting('ironclaw.moment')::timestamptz;
delete from approvals where decided_at > current_setting('ironclaw.moment')::timestamptz;
delete from reports where judged_at > current_setting('ironclaw.moment')::timestamptz;
delete from outputs where kept_at > current_setting('ironclaw.moment')::timestamptz;
