"""Events about subscriptions themselves. delivery makes them for receivers; they lie on no topic."""

from typing import Final

TEST: Final = "accord.subscription.test"
DISABLED: Final = "accord.subscription.disabled"
