"""A configuration and the state directory it names, opened."""

from pathlib import Path

from appleseed_evolution.config import Config, Runtime, read_config
from appleseed_evolution.skills import SkillFile, load_skills
from appleseed_evolution.state.directory import StateDirectory
from appleseed_evolution.state.files import sweep
from appleseed_evolution.state.skillchanges import finish_interrupted


class Workspace:
    """What every operation works on. Opening it mends what a crash left; `state.notices` says what."""

    def __init__(self, config: Config) -> None:
        self.config = config
        self.runtime: Runtime = config.runtime
        self.state = StateDirectory(config.state_dir)
        with self.state.locked():
            for folder in (self.state.path, self.state.reports, self.state.received, self.state.kept_skills):
                sweep(folder)
            finish_interrupted(self.state)

    @classmethod
    def open(cls, config_path: Path) -> "Workspace":
        """Open the workspace of a configuration file. Raises what `read_config` raises, and `OSError`."""
        return cls(read_config(config_path))

    def skills(self) -> tuple[SkillFile, ...]:
        """Return the skills as their files are now. Raises `Conflict` naming a file that holds none."""
        return load_skills(self.config.skills_dir)
