"""How checks ask the servers: on connections of their own, which give up within seconds."""
