-- Members make keys of their team's collectors: who made one has seen it.
ALTER TABLE key ADD COLUMN made_by BLOB;
-- What a collector did lately.
CREATE INDEX usage_by_collector ON usage (collector, day);
