-- Who is bound to a connection, and what was agreed to.

ALTER TABLE connection ADD COLUMN member_id BLOB;
ALTER TABLE connection ADD COLUMN text_version TEXT NOT NULL DEFAULT '';
