-- Forget what came after a point, in a restored copy. What was learned is derived, and is derived again.
delete from learned where seq > current_setting('ironclaw.seq')::bigint;
