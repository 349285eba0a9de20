-- Keys of the broker itself, wrapped by the sealing key: they seal what belongs to no team, and key its hashes.

CREATE TABLE own_key (
    id            INTEGER PRIMARY KEY,
    wrapped       BLOB    NOT NULL,
    created_at_us INTEGER NOT NULL
) STRICT;
