"""The demo: a page, in Gradio, on which a session is picked, typed or clicked together, and the lists say why.

Everything but ``page`` does without Gradio: what a visitor has put together (``visit``), the shop that answers
(``shop``), what is shown of it (``markup`` and the ``*_view`` files), and the folder for a hosting space (``export``).
"""
