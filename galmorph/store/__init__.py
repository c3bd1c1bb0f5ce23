"""A store: models, images, predictions and labels in one SQL database, scored beside it.

:func:`~galmorph.store.store.open_store` opens one in a file (SQLite) or on a server (PostgreSQL). The tables are in
``schema``; ``models``, ``image_rows``, ``prediction_rows``, ``label_rows`` and ``keys`` each look after one of them,
``scorer`` fills the third from the first two, ``watcher`` does so whenever images are added.
"""
