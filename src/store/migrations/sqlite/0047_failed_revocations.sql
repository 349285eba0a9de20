-- A revocation that waits for something is claimed again and again, and fails only where its network was tried.
ALTER TABLE revocation ADD COLUMN failures INTEGER NOT NULL DEFAULT 0;
ALTER TABLE revocation ADD COLUMN failing_since_us INTEGER;
