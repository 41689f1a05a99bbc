"""Load on a server, and what it was like: the engine of `flatdense bench`.

    plan       what to send, how often, for how long
    strokes    rows that look like digits
    dialect    a request and its answer in each protocol
    arrivals   when calls are due
    generator  sends them and notes what became of each
    recording  what was noted
    crew       the processes that generators run in
    verdict    what it all says

Nothing of the SDK imports this package.
"""
