"""The user's score.py, and what it may import.

The door is `entry_script.EntryScript`: it loads the script, reads its arguments from a request, and calls it.
"""
