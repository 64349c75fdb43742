"""The API's description in OpenAPI, and the page to try it on.

Reading order: documentation, response_docs, answer_examples, job_examples.
"""
