-- An app is deleted only without tokens. Most tokens are of the app `default`, which is never deleted.
CREATE INDEX token_by_app ON token (network, app) WHERE app <> 'default';
