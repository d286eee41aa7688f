"""The pure decisions of delivery: messages.py what is sent to whom, signatures.py how it is signed, attempts.py what an
answer means, targets.py which addresses may be called."""
