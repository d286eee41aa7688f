"""What delivery does on its own time: sender.py decides when and how many, posting.py speaks HTTP."""
