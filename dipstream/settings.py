"""Settings of a run: flags > DIPSTREAM_* > dipstream.toml > defaults."""

import os
from pathlib import Path
from typing import Any, Literal, TypeAlias

import platformdirs
from pydantic import Field, ValidationError
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)

from dipstream.config import explain
from dipstream.errors import ConfigError

__all__ = ["Policy", "RunSettings", "TruthLevel", "default_home", "load_settings"]

Policy: TypeAlias = Literal["block", "drop-oldest", "stop"]
TruthLevel: TypeAlias = Literal["none", "objects", "labels", "full"]


def default_home() -> Path:
    """Return where runs are kept unless somebody says otherwise: the user's data folder."""
    return Path(platformdirs.user_data_dir("dipstream", appauthor=False))


class RunSettings(BaseSettings):
    """How a run works, apart from what it computes.

    Attributes
    ----------
    home
        Runs are kept in its folder ``runs``.
    workers
        Analysis threads; 0 means as many as there are processors, at most 4.
    frame_threads
        Threads inside one frame. More than 1 gets a frame through sooner where frames come slowly;
        where they come as fast as they can be analysed, `workers` alone gives more frames a second.
    deadline_ms
        A row that is written later than this after its frame was received is counted as a miss;
        None: 1000 ms on a live camera, no deadline for files.
    reference
        Compute with the references that define each step, without kernels and fused passes: the
        same numbers many times later, for comparison.
    policy
        What happens when frames come faster than they are analysed: ``block`` the source,
        ``drop-oldest`` waiting image set (its rows say so), or ``stop`` the run. None blocks
        sources that can wait and drops the oldest set of a live camera.
    queue_mb
        Pixels that may wait, in MB (10⁶ bytes), image sets that are still open included.
    durability
        ``full``: every commit is on the disk; ``normal``: the last ones may go with the power.
    reorder_s
        How long the tracker waits for an image set that is late from its analysis; None waits as
        long as it takes on sources that can be replayed, 10 s on a live camera.
    on_change
        Frames whose shape, type or pixel size differs from the first: ``quarantine`` them, or
        open a new ``segment``.
    save_labels
        Write ``labels/SET_TYPE.tif`` for every image set.
    truth
        What is written into ``truth/`` if the source knows the truth: ``none``; ``objects``, the
        tables; ``labels``, label images and tracks besides; ``full``, photons, electrons and
        saturation of each pixel too, which costs as much time as the frames did.
    """

    model_config = SettingsConfigDict(
        env_prefix="DIPSTREAM_", extra="forbid", frozen=True, validate_default=True
    )

    home: Path = Field(default_factory=default_home)
    workers: int = Field(default=0, ge=0, le=64)
    frame_threads: int = Field(default=1, ge=1, le=64)
    deadline_ms: float | None = Field(default=None, gt=0, allow_inf_nan=False)
    reference: bool = False
    policy: Policy | None = None
    queue_mb: float = Field(default=512, gt=0)
    durability: Literal["full", "normal"] = "full"
    reorder_s: float | None = Field(default=None, gt=0)
    on_change: Literal["quarantine", "segment"] = "quarantine"
    save_labels: bool = False
    truth: TruthLevel = "labels"

    @property
    def threads(self) -> int:
        """How many analysis threads there are in the end."""
        return self.workers or min(os.cpu_count() or 1, 4)

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Order the places settings come from; a file in the working folder goes first."""
        del dotenv_settings, file_secret_settings
        user = Path(platformdirs.user_config_dir("dipstream", appauthor=False)) / "dipstream.toml"
        # Later files override earlier ones.
        toml = TomlConfigSettingsSource(settings_cls, toml_file=[user, Path("dipstream.toml")])
        return init_settings, env_settings, toml


def load_settings(**flags: Any) -> RunSettings:
    """Return the settings; flags that are None were not given. Raises `ConfigError`."""
    given = {name: value for name, value in flags.items() if value is not None}
    unknown = [name for name in given if name not in RunSettings.model_fields]
    if unknown:
        raise ConfigError(
            f"there is no setting {', '.join(unknown)}; allowed are "
            f"{', '.join(RunSettings.model_fields)}"
        )
    try:
        return RunSettings(**given)
    except ValidationError as error:
        raise ConfigError(explain(error, "settings", RunSettings)) from error
    except ValueError as error:  # a TOML file that is none
        raise ConfigError(f"dipstream.toml cannot be read: {error}") from error
