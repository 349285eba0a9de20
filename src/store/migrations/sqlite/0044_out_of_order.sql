-- Destinations that hear of dead tokens hear of what is out of order, too.
UPDATE destination SET events = json_insert(events, '$[#]', 'out_of_order') WHERE events LIKE '%"token_invalid"%';
