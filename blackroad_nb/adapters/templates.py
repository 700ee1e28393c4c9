"""Templates that lie as notebook files in folders."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path

from blackroad_nb.core.document import Document, parse_document
from blackroad_nb.errors import InvalidNotebook, TemplateNotFound

# In a checkout the templates lie beside the package; an installed package finds them
# under `share/jupyter`, see `[options.data_files]` in setup.cfg.
CHECKOUT = Path(__file__).resolve().parents[2] / "templates"
SHARED = "blackroad/templates"


class FolderTemplates:
    """`TemplateSource` over folders; a name in an earlier one hides later ones."""

    def __init__(self, folders: Sequence[Path]) -> None:
        self._folders = tuple(folders)

    async def names(self) -> tuple[str, ...]:
        return tuple(sorted(await asyncio.to_thread(self.files)))

    async def read(self, name: str) -> Document:
        return await asyncio.to_thread(self.load, name)

    def files(self) -> dict[str, Path]:
        """Return the templates' files by name; only files can be templates, no pipes."""
        found: dict[str, Path] = {}
        for folder in self._folders:
            for path in folder.glob("*.ipynb"):
                if not path.name.startswith(".") and path.is_file():
                    found.setdefault(path.stem, path)
        return found

    def load(self, name: str) -> Document:
        """Read a template without waiting for a loop. Raises as `read` does."""
        # The name is looked up, never joined to a folder: it cannot lead out of it.
        path = self.files().get(name)
        if path is None:
            raise TemplateNotFound(
                f"There is no template {name!r}; list the templates to see their names."
            )
        try:
            return parse_document(path.read_bytes())
        except OSError as error:
            raise InvalidNotebook(
                f"The template {str(path)!r} cannot be read: {error.strerror}."
            ) from None
        except InvalidNotebook as error:
            raise InvalidNotebook(f"The template {str(path)!r} is broken. {error}") from None


def template_folders(jupyter_path: Sequence[str]) -> tuple[Path, ...]:
    """Return where templates may lie: the operator's, the installed, the checkout's."""
    return (*(Path(folder) for folder in jupyter_path), CHECKOUT)
