"""What a spawner is told: by the operator's configuration, by a form, by a link."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from traitlets import Bool, List, Unicode, default
from traitlets.config import LoggingConfigurable

from blackroad_nb.core.launch import parse_choice
from blackroad_nb.core.policy import best_first
from blackroad_nb.core.profile import LaunchPolicy
from blackroad_nb.errors import BlackRoadError, LaunchRefused
from blackroad_nb.hub.cross_site import is_navigation
from blackroad_nb.hub.profiles import PolicyFile, policy_file
from blackroad_nb.hub.requester import launcher_of
from blackroad_nb.hub.spawn_choices import spawn_page


class LaunchOptions(LoggingConfigurable):
    """The part of `PolicyMixin` that reads; the other part acts."""

    handler: Any  # JupyterHub's, of the request that is being answered

    profiles_file = Unicode("", help="The YAML file of profiles; none takes the defaults.").tag(
        config=True
    )
    state_folder = Unicode("", help="Where the hub keeps its state, sessions.db among it.").tag(
        config=True
    )
    hub_id = Unicode("default", help="Tells this hub's sessions from those of another.").tag(
        config=True
    )
    templates = List(Unicode(), help="Folders with notebook templates.").tag(config=True)
    workspaces = Unicode("", help="The folder with one folder for each user's work.").tag(
        config=True
    )
    default_image = Unicode("", help="The image of a profile that names none.").tag(config=True)
    launcher_enabled = Bool(True, help="Off refuses every launch; FEATURE_NOTEBOOK_LAUNCHER.").tag(
        config=True
    )

    def policy(self) -> LaunchPolicy:
        """Return what is allowed now.

        Raises:
            LaunchRefused: the file of profiles cannot be read, so nothing is allowed.
        """
        source: PolicyFile = policy_file(self.profiles_file)
        return source.read(self.launcher_enabled)

    async def get_options_form(self) -> str:
        from blackroad_nb.hub.spawn_page import render_form

        return render_form(await spawn_page(self))

    def run_options_from_form(self, form_data: Mapping[str, Sequence[Any]]) -> dict[str, object]:
        return self._options_from(form_data)

    def options_from_query(self, query_data: Mapping[str, Sequence[Any]]) -> dict[str, object]:
        try:
            # Before the hub remembers them: a foreign page is not to choose what is marked.
            self.check_request()
        except BlackRoadError as error:
            raise shown(error) from None
        return self._options_from(query_data)

    @default("apply_user_options")
    def _apply_in_start(self) -> Any:
        return lambda _spawner, _options: None  # `start` does, after it has checked them

    def check_request(self) -> None:
        """Check that somebody followed a link, where a link is what asks.

        Raises:
            LaunchRefused: a page fetched it.
        """
        handler = self.handler
        if handler is None:
            return
        # Anything but a GET comes with the hub's own token against forgery.
        if handler.request.method == "GET" and not is_navigation(handler.request.headers):
            raise LaunchRefused(
                "Another page asked for this session without you following a link.", "cross_site"
            )

    def _options_from(self, sent: Mapping[str, Sequence[Any]]) -> dict[str, object]:
        from blackroad_nb.hub.spawn_page import options_from_form

        options = options_from_form(sent)
        try:
            policy = best_first(launcher_of(self), self.policy())
            return parse_choice(options, policy).options()
        except BlackRoadError as error:
            raise shown(error) from None


def shown(error: BlackRoadError) -> Exception:
    """Return the error as JupyterHub's pages and API show it."""
    from blackroad_nb.hub.failures import spawn_exception

    return spawn_exception(error)
