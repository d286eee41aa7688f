"""What delivery does on its own time: sender.py decides what goes out when, lanes.py how much to whom at once,
recorder.py keeps what came of it, posting.py speaks HTTP, channels.py tells people, mailing.py by mail."""
