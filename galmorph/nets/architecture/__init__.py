"""Architecture: networks as text, the layers they are made of, and how trained ones are run."""
