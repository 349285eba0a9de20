-- Each audit row carries a keyed hash over itself and the hash of the row before; rows from before have none.

ALTER TABLE audit ADD COLUMN mac BLOB;

-- One row: where the chain begins and ends, under a keyed hash of its own.
CREATE TABLE audit_chain (
    id            INTEGER PRIMARY KEY CHECK (id = 1),
    started_after INTEGER NOT NULL,
    pruned_seq    INTEGER NOT NULL,
    pruned_mac    BLOB    NOT NULL,
    head_seq      INTEGER NOT NULL,
    head_mac      BLOB    NOT NULL,
    broken        TEXT    NOT NULL,
    seal          BLOB    NOT NULL
) STRICT;
