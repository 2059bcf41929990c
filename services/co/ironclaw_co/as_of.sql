-- Forget what came after a point, in a restored copy. Events up to it are told again; receivers know them by key.
delete from outbox where created_at > current_setting('ironclaw.moment')::timestamptz;
update cursors set seq = least(seq, current_setting('ironclaw.seq')::bigint);
