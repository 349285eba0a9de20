-- What came of an import's rows so far, and a way to those that are old.
ALTER TABLE import ADD COLUMN added INTEGER NOT NULL DEFAULT 0;
ALTER TABLE import ADD COLUMN updated INTEGER NOT NULL DEFAULT 0;
ALTER TABLE import ADD COLUMN unchanged INTEGER NOT NULL DEFAULT 0;
ALTER TABLE import ADD COLUMN rejected INTEGER NOT NULL DEFAULT 0;
CREATE INDEX import_by_time ON import (updated_at_us);
