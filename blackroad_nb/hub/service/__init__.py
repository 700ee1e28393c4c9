"""The hub's service: My session, the sessions of all for managers, and both over REST.

JupyterHub starts it beside itself and leads /services/blackroad/ to it. It acts with the
token of whoever asks, so the hub decides every question.
"""
