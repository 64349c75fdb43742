"""Templates of mails: a folder each, with subject.txt, text.txt and, for HTML, body.html.

They are in Jinja2. rendering fills them in; plain_text makes the text of a mail that has only HTML.
"""
