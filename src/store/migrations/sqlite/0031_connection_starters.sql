-- Which member started a connection: what a member began ends when it leaves.

ALTER TABLE connection ADD COLUMN started_by BLOB;
CREATE INDEX connection_open_by_starter ON connection (started_by) WHERE stage NOT IN ('connected', 'cancelled', 'lapsed');
CREATE INDEX connection_open_by_member ON connection (member_id) WHERE stage NOT IN ('connected', 'cancelled', 'lapsed');
