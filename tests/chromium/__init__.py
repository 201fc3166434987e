"""
The demo in a real browser: a shop with the Web Editor in its page, and what is behind.

Chromium is Debian's, driven by playwright; it trusts the development CA as a developer's browser
does, and nothing is told to look the other way. What it writes to its console counts as a bug
unless a test has named it. Views are kept as pictures in ``screenshots/``.
"""
