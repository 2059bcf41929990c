-- Forget what came after a point, in a restored copy: `ironclaw.seq` names it. Snapshots are rebuilt afterwards.
delete from events where seq > current_setting('ironclaw.seq')::bigint;
delete from checkpoints where seq > current_setting('ironclaw.seq')::bigint;
-- Nobody holds anything in a fleet that does not run.
delete from leases;
delete from leads;
-- Open orders are looked through before the rebuild: what was not there yet is not open.
delete from orders where first_seq > current_setting('ironclaw.seq')::bigint;
delete from runs where first_seq > current_setting('ironclaw.seq')::bigint;
delete from escalations where seq > current_setting('ironclaw.seq')::bigint;
