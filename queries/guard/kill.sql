-- Raises the flag on one query, and says what it found. Whatever the decision was, a write is never among them.
KILL QUERY WHERE substringUTF8(query_id, 1, 200) = {query_id:String} AND user = {user:String} AND is_initial_query
    AND query_kind IN ('Select', 'Explain') AND user != currentUser()
ASYNC
