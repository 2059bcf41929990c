-- Forget what came after a point, in a restored copy. What was learned is derived, and is derived again.
delete from learned where seq > current_setting('ironclaw.seq')::bigint;
-- Files are read again from their beginning; the ledger knows by its id what it has.
delete from cursors;
