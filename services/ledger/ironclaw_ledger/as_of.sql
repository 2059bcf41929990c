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
-- The rebuild that follows counts itself on from here.
update rebuilds set number = number + 1;
-- Money that was spent later stays spent on the key; the runs and orders that it was spent for are not there.
delete from reservations where made_at > current_setting('ironclaw.moment')::timestamptz;
delete from accounts a where
    (a.account like 'run %' and not exists (select from runs r where a.account = 'run ' || r.run_id))
    or (a.account like 'order %' and not exists (select from orders o where a.account = 'order ' || o.order_id));
