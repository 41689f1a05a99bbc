"""The wire's messages to rows, and outputs to messages. The only judges of a request.

A request is judged here, alone, before any queue: what passes cannot hurt a batch-mate. No file of
this folder knows the engine, the queue or gRPC.
"""
