"""Settings of a run: flags > DIPSTREAM_* > dipstream.toml > defaults."""

import json
import os
from pathlib import Path
from typing import Annotated, Any, Literal, TypeAlias

import platformdirs
from pydantic import Field, ValidationError, field_serializer, field_validator
from pydantic_settings import (
    BaseSettings,
    NoDecode,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)

from dipstream.config import explain
from dipstream.errors import ConfigError

__all__ = [
    "Policy",
    "RunSettings",
    "TruthLevel",
    "default_home",
    "load_settings",
    "without_password",
]

Policy: TypeAlias = Literal["block", "spill", "drop-oldest", "thin", "stop"]
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
        What happens when frames come faster than they are analysed, always to whole image sets:
        ``block`` the source; ``spill`` them into files of the run and analyse them later, in order;
        ``thin``, keep every n-th; ``drop-oldest``, those that waited longest make room; ``stop``
        the run. A set that is not analysed has rows that say so. None blocks sources that can wait
        and spills the sets of a live camera. Where ``spill`` cannot go on, it thins.
    queue_mb
        What frames may take in memory, in MB (10⁶ bytes): of image sets that are still open, that
        wait, and that are being analysed or committed.
    spill_mb
        How large the files of ``spill`` may become, in MB (10⁶ bytes).
    reserve_mb
        Room on the disk, in MB (10⁶ bytes), that a run holds and gives up when the disk is full, so
        that it can still write how it ended. 0 for none.
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
    mirror
        Where committed image sets are copied to while the run goes on: ``postgresql://…`` or a
        folder for Parquet files, one or several. ``run.json`` has them without passwords.
    mirror_every_s
        A mirror in a folder gets a file for each table this often.
    mirror_wait_s
        How long mirrors that are behind may take to catch up when the run has ended.
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
    spill_mb: float = Field(default=4096, gt=0)
    reserve_mb: float = Field(default=16, ge=0, allow_inf_nan=False)
    durability: Literal["full", "normal"] = "full"
    reorder_s: float | None = Field(default=None, gt=0)
    on_change: Literal["quarantine", "segment"] = "quarantine"
    save_labels: bool = False
    truth: TruthLevel = "labels"
    mirror: Annotated[tuple[str, ...], NoDecode] = ()
    mirror_every_s: float = Field(default=5, gt=0, allow_inf_nan=False)
    mirror_wait_s: float = Field(default=10, ge=0, allow_inf_nan=False)

    @field_validator("mirror", mode="before")
    @classmethod
    def _several_mirrors(cls, value: Any) -> Any:
        """Take one address, or a JSON list of them, from the environment."""
        if not isinstance(value, str):
            return value
        return json.loads(value) if value.lstrip().startswith("[") else (value,)

    @field_serializer("mirror")
    def _safe_mirrors(self, value: tuple[str, ...]) -> list[str]:
        return [without_password(address) for address in value]

    @property
    def threads(self) -> int:
        """How many analysis threads there are in the end."""
        return self.workers or min(os.cpu_count() or 1, 4)

    def policy_for(self, *, live: bool) -> Policy:
        """Return the policy in the end, for a source that can wait or a live camera."""
        return self.policy or ("spill" if live else "block")

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


def without_password(address: str) -> str:
    """Return a URL without its password; anything else as it is."""
    scheme, is_url, rest = address.partition("://")
    if not is_url:
        return address
    rest, _, query = rest.partition("?")
    # A password may hold any character that its owner forgot to write as %XX.
    account, at, place = rest.rpartition("@")
    kept = [one for one in query.split("&") if one and "password" not in one.casefold()]
    asked = "?" + "&".join(kept) if kept else ""
    return f"{scheme}://{account.partition(':')[0]}{at}{place}{asked}"


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
