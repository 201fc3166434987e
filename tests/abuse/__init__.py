"""
Attacks on the real process: what is sent, what the answer must be, and how soon.

Each attack is a row of a table, and each row is run over ws and over wss by a method of its own:
the answer is the expected one, in time; a new connection and one that was open all along still
echo; and the process is where it was before, in memory and in files. `attack.py` says what a row
is, `attacker.py` has the client that sends it, and `siege.py` the gateway and those who watch it.
"""
