"""The files of an exported folder that are written, not copied."""

from typing import Final

APP: Final = '''"""The demo: a hosting space runs this file, and so does the image of the Dockerfile."""

import os
import sys

from scripts.demo.__main__ import main

if __name__ == "__main__":
    host, port = os.environ.get("GRADIO_SERVER_NAME", "127.0.0.1"), os.environ.get("GRADIO_SERVER_PORT", "7860")
    sys.exit(main(["--run", "run", "--host", host, "--port", port]))
'''
"""``app.py``; a hosting space says by these variables where it wants the page."""

DOCKERFILE: Final = """FROM python:{python}-slim
RUN apt-get update && apt-get install --yes --no-install-recommends libgomp1 && rm -rf /var/lib/apt/lists/*
RUN useradd --create-home --uid 1000 visitor && mkdir /home/visitor/app && chown visitor /home/visitor/app
WORKDIR /home/visitor/app
COPY requirements.txt ./
RUN pip install --no-cache-dir --requirement requirements.txt
USER visitor
{copies}
RUN python -c 'from rankers import Recommender; Recommender.load("run")'
ENV GRADIO_SERVER_NAME=0.0.0.0 GRADIO_SERVER_PORT=7860
EXPOSE 7860
CMD ["python", "-m", "app"]
"""
"""``Dockerfile``; its last RUN compiles the kernels, so that the page is there soon after the start."""

SDKS: Final = {
    "gradio": 'sdk: gradio\nsdk_version: {gradio}\npython_version: "{python}"\napp_file: app.py',
    "docker": "sdk: docker\napp_port: 7860",
}
"""Lines of the README's head by the kind of hosting space: it installs the requirements, or takes the Dockerfile."""

README: Final = """---
title: Cartograph
emoji: 🧭
colorFrom: green
colorTo: gray
{sdk}
pinned: false
license: mit
---

# Cartograph

A two-stage recommender for shop sessions: pick, type or click together a session, and see the lists of clicks, carts
and orders with the reasons for every item. The folder holds the run `{run}` as far as it is asked ({size}), with
{sessions} sessions of its log.

    pip install -r requirements.txt && python app.py     # http://127.0.0.1:7860
    docker build -t cartograph . && docker run -p 7860:7860 cartograph

Uploaded as it is, it is a space of the kind that this file's head names.
"""

LARGE_FILES: Final = "".join(f"{kind} filter=lfs diff=lfs merge=lfs -text\n" for kind in ("*.npy", "*.parquet"))
"""``.gitattributes``: arrays and tables are large files."""

PACKAGES: Final = "libgomp1\n"
"""``packages.txt``: what a hosting space without the Dockerfile installs of Debian's, for LightGBM."""
