-- What people were told of one token: with new secrets it is looked at whether trouble is over.
CREATE INDEX event_by_token ON event (token, at_us) WHERE token IS NOT NULL;
