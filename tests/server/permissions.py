"""What each verb of each route asks of the authorizer."""

# The whole table of permissions; a verb that is not here fails a test.
PERMISSIONS = {
    "GET /blackroad/notebooks": ("read", "blackroad:notebooks"),
    "POST /blackroad/notebooks": ("write", "blackroad:notebooks"),
    "GET /blackroad/notebooks/{notebook_id}": ("read", "blackroad:notebooks"),
    "DELETE /blackroad/notebooks/{notebook_id}": ("write", "blackroad:notebooks"),
    "GET /blackroad/notebooks/{notebook_id}/export": ("read", "blackroad:exports"),
    "GET /blackroad/executions": ("read", "blackroad:executions"),
    "POST /blackroad/executions": ("execute", "blackroad:executions"),
    "GET /blackroad/executions/{run_id}": ("read", "blackroad:executions"),
    "GET /blackroad/executions/{run_id}/events": ("read", "blackroad:executions"),
    "POST /blackroad/executions/{run_id}/cancel": ("execute", "blackroad:executions"),
    "GET /blackroad/history": ("read", "blackroad:history"),
    "DELETE /blackroad/history": ("write", "blackroad:history"),
    "GET /blackroad/exports": ("read", "blackroad:exports"),
    "GET /blackroad/kernels": ("read", "blackroad:kernels"),
    "POST /blackroad/kernels": ("execute", "blackroad:kernels"),
    "DELETE /blackroad/kernels/{name}": ("execute", "blackroad:kernels"),
    "POST /blackroad/kernels/{name}/check": ("execute", "blackroad:kernels"),
    "GET /blackroad/templates": ("read", "blackroad:templates"),
    "POST /blackroad/templates/{name}/copy": ("write", "blackroad:templates"),
    "GET /blackroad/usage": ("read", "blackroad:usage"),
    "GET /blackroad/health": ("read", "blackroad:health"),
    "GET /blackroad/openapi.json": ("read", "blackroad:openapi"),
}
