-- Operations that a network refuses a token for want of a permission, each since when in microseconds; JSON.

ALTER TABLE token ADD COLUMN closed TEXT NOT NULL DEFAULT '{}';
