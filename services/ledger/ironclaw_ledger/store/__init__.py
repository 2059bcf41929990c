"""The ledger's tables: the only place with SQL."""

from ironclaw_ledger.store.reading import Store
from ironclaw_ledger.store.spending import SpendingStore
from ironclaw_ledger.store.transaction import Moved, Transaction

__all__ = ["Moved", "SpendingStore", "Store", "Transaction"]
