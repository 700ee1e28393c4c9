"""The Jupyter Server edge: the extension app, its REST routes and the recorder."""
