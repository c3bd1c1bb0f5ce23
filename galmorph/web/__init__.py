"""Web: the service that classifies galaxies over HTTP, and its page.

``app.create_app`` joins the parts: ``guard`` looks at every request before anything reads it, ``routes`` and
``job_routes`` are the addresses, ``service`` has the models and the queue, and ``job_queue`` carries out catalogues in
processes of their own.
"""
