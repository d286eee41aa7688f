"""The agreement as plain sentences that both sides can read aloud: every part of the document is said, none twice."""
