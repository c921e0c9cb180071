"""What the process that hears cards does before anything else.

The parts are in ``dialer.payments.hardening`` and ``dialer.payments.masking``, which the processes
that send cards use as well.
"""

from __future__ import annotations

from dialer.config import Settings
from dialer.payments.hardening import NotHardened, harden_process, what_shows
from dialer.payments.masking import configure_masked_logging, mask_output

__all__ = ["NotHardened", "harden", "what_shows"]


def harden(settings: Settings) -> None:
    """Show no memory and print no digits from now on; read back from the kernel.

    Raises NotHardened: the process must not go on.
    """
    mask_output()
    configure_masked_logging(settings)
    harden_process()
