-- What the model calls of all runs asked for with a key may cost; null for no ceiling.
alter table api_keys add column spend_tokens bigint, add column spend_usd double precision;
