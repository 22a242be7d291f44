-- Ends the reading query of a client that has gone.
KILL QUERY WHERE query_id = {query_id:String} AND user = {user:String} AND query_kind NOT IN ('Insert', 'AsyncInsertFlush')
ASYNC
