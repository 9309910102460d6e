"""``python -m headstart.cli``, for torchrun and schedulers."""

from headstart.cli import main

if __name__ == "__main__":
    main()
