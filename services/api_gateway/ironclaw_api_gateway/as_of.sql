-- Forget what came after a point, in a restored copy. A key that was revoked later stays revoked.
delete from api_keys where created_at > current_setting('ironclaw.moment')::timestamptz;
-- Nobody is signed in to a restored fleet.
delete from console_sessions;
