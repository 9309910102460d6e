"""The Hugging Face hub, asked once: its library asks six times within 23 s where it cannot be reached."""

from __future__ import annotations

from headstart.errors import first_line


def require_answer(repository: str, name: str) -> None:
    """Raise :class:`OSError` unless the file ``name`` is in the hub's cache, or the hub can be reached and has it.

    ``HF_HUB_ETAG_TIMEOUT`` is how many seconds the hub has to answer (10 if not set).
    """
    from huggingface_hub import constants, get_hf_file_metadata, hf_hub_url, try_to_load_from_cache

    if isinstance(try_to_load_from_cache(repository, name), str):
        return
    try:
        get_hf_file_metadata(hf_hub_url(repository, name), timeout=constants.HF_HUB_ETAG_TIMEOUT)
    except OSError:  # what the hub answers, and HF_HUB_OFFLINE
        raise
    except Exception as error:  # no answer; of the HTTP library, which is not the same in all versions of the hub's
        raise ConnectionError(f"the hub cannot be reached: {first_line(error)}") from error
