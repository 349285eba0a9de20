-- Browsers of members that get push messages. Their address is a secret, and so is what messages are sealed with; both are sealed with a key of the
-- broker's own, bound to the row and its version. The keyed hash of the address tells whether a browser is there already.

CREATE TABLE push_subscription (
    id            BLOB    PRIMARY KEY,
    team          TEXT    NOT NULL,
    member        BLOB    NOT NULL REFERENCES member (id) ON DELETE CASCADE,
    display_name  TEXT    NOT NULL,
    shown         TEXT    NOT NULL,
    endpoint_hash BLOB    NOT NULL UNIQUE,
    sealed        BLOB    NOT NULL,
    created_at_us INTEGER NOT NULL,
    version       INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX push_subscription_by_member ON push_subscription (team, member, id);
CREATE INDEX push_subscription_of_member ON push_subscription (member);
