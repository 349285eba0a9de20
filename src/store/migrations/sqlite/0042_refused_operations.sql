-- Destinations that hear that no token is usable hear of operations that are refused to everybody, too.
UPDATE destination SET events = json_insert(events, '$[#]', 'operation_refused') WHERE events LIKE '%"no_access_tokens"%';
